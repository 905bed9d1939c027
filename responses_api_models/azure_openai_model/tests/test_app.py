"""`azure_openai_model` against answers in the published format of Azure OpenAI, over a socket."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml
from fastapi.testclient import TestClient
from openai import OpenAI
from starlette.types import Receive, Scope, Send

from nemo_gym.config.errors import ConfigError
from nemo_gym.openai_utils import NeMoGymResponse, RawParams
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.serving.testing import serving_in_threads
from nemo_gym.wire.failure import RolloutError
from nemo_gym.wire.raw_json import encode
from responses_api_models.azure_openai_model.app import AzureOpenAIModel, AzureOpenAIModelConfig
from tests.engines.recordings import ReplayApp, load

FOLDER = Path(__file__).parent.parent
HERE: dict[str, Any] = {"host": "", "port": 0, "entrypoint": "", "name": "policy_model"}
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]


class Resource:
    """An Azure resource that answers as recorded, and the credentials it was shown."""

    def __init__(self, *names: str) -> None:
        self.credentials: list[tuple[str | None, str | None]] = []
        recordings = load("by_format/azure")
        self._app = ReplayApp([recordings[name] for name in names], ignoring={"model"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            self.credentials.append((headers.get("api-key"), headers.get("authorization")))
        await self._app(scope, receive, send)


Start = Callable[..., tuple[AzureOpenAIModel, Resource]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function from names of recordings to a model server in front of them, and the resource."""
    with serving_in_threads() as serve:

        def start_model(*names: str, **settings: Any) -> tuple[AzureOpenAIModel, Resource]:
            resource = Resource(*names)
            endpoint = f"http://127.0.0.1:{serve(resource)}/"
            azure = {"azure_endpoint": endpoint, "deployment": "gpt-4o", "api_version": "2024-10-21", "api": "chat"}
            credential = {} if "entra_provider" in settings else {"api_key": "azure-canary"}
            config = AzureOpenAIModelConfig(**HERE, **{**azure, **credential, **settings})
            return AzureOpenAIModel(config=config, server_client=MagicMock(spec=ServerClient)), resource

        yield start_model


async def ask(model: AzureOpenAIModel, items: Any = CAPITAL, **params: Any) -> dict[str, Any]:
    try:
        answer = await model.responses(RawParams(encode({"input": items, **params})))
    finally:
        await close_global_aiohttp_client()
    decoded: dict[str, Any] = json.loads(answer.json_text)
    return decoded


async def test_a_deployment_answers_a_responses_request_and_is_shown_the_key(start: Start) -> None:
    model, resource = start("chat_plain")
    answer = await ask(model)
    assert NeMoGymResponse.model_validate(answer).output_text == "The capital of France is Paris."
    assert answer["model"] == "gpt-4o-2024-08-06"
    assert resource.credentials == [("azure-canary", None)]


async def test_an_answer_that_the_filter_cut_off_is_incomplete(start: Start) -> None:
    model, _ = start("chat_answer_filtered")
    recorded: Any = load("by_format/azure")["chat_answer_filtered"].exchanges[0].call.body
    answer = await ask(model, recorded["messages"])
    assert answer["incomplete_details"] == {"reason": "content_filter"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error_context_length", "context_length_exceeded"),
        ("error_prompt_filtered", "model_content_filter"),
        ("error_wrong_key", "model_auth"),
    ],
)
async def test_refusals_have_their_kind(start: Start, name: str, kind: str) -> None:
    model, _ = start(name)
    recorded: Any = load("by_format/azure")[name].exchanges[0].call.body
    with pytest.raises(RolloutError) as caught:
        await ask(model, recorded["messages"])
    assert caught.value.failure.kind == kind
    assert "canary" not in caught.value.failure.model_dump_json()


def token() -> str:
    """Stands for a credential of azure-identity."""
    return "entra-canary"


async def token_later() -> str:
    """The same as a coroutine."""
    return "entra-canary"


@pytest.mark.parametrize("provider", ["token", "token_later"])
async def test_an_entra_token_is_asked_for_and_sent(start: Start, provider: str) -> None:
    model, resource = start(
        "chat_plain", entra_provider=f"responses_api_models.azure_openai_model.tests.test_app:{provider}"
    )
    await ask(model)
    assert resource.credentials == [(None, "Bearer entra-canary")]


@pytest.mark.parametrize("provider", ["nowhere:token", "json:nothing", "json", ":"])
def test_a_provider_that_is_no_function_ends_the_start(start: Start, provider: str) -> None:
    with pytest.raises(ConfigError, match="names no function"):
        start("chat_plain", entra_provider=provider)


@pytest.mark.parametrize("settings", [{"api_key": None}, {"entra_provider": "json:dumps", "api_key": "k"}])
def test_exactly_one_credential_is_given(start: Start, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give one of api_key and entra_provider"):
        start("chat_plain", **settings)


def test_the_shipped_configuration_has_the_settings_of_the_server() -> None:
    shipped = yaml.safe_load((FOLDER / "configs/azure_openai_model.yaml").read_text())
    settings = shipped["policy_model"]["responses_api_models"]["azure_openai_model"]
    config = AzureOpenAIModelConfig(**{**HERE, **settings})
    assert config.deployment == "${policy_model_name}"


def test_the_official_client_parses_what_both_routes_answer(start: Start) -> None:
    model, _ = start("chat_plain")
    with TestClient(model.setup_webserver()) as client:
        openai = OpenAI(api_key="k", base_url=f"{client.base_url}/v1", http_client=client, max_retries=0)
        answer = openai.responses.create(model="m", input=CAPITAL)  # type: ignore[arg-type]
        completion = openai.chat.completions.create(model="m", messages=CAPITAL)  # type: ignore[arg-type]
    assert answer.output_text == completion.choices[0].message.content == "The capital of France is Paris."
