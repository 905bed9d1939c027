"""`openai_model` against the scripted model as its endpoint, over a socket."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import httpx
import pytest
import pytest_asyncio
import yaml
from fastapi.testclient import TestClient
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.openai_utils import NeMoGymChatCompletion, NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.serving.testing import serve_in_thread, serving_in_threads
from responses_api_models.openai_model.app import OpenAIModel, OpenAIModelConfig
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig

FOLDER = Path(__file__).parent.parent
StartModel = Callable[..., tuple[OpenAIModel, str]]


@pytest.fixture
def start() -> Iterator[StartModel]:
    """Return a function from settings of the endpoint to a model server in front of it, and the endpoint's address."""
    with serving_in_threads() as serve:

        def start_model(
            server: dict[str, Any] | None = None, headers_seen: list[dict[str, str]] | None = None, **settings: Any
        ) -> tuple[OpenAIModel, str]:
            here: dict[str, Any] = {"host": "", "port": 0, "entrypoint": ""}
            client = MagicMock(spec=ServerClient)
            scripted = ScriptedModelConfig(**here, name="scripted", api_key="sk-canary", **settings)
            endpoint = ScriptedModel(config=scripted, server_client=client).setup_webserver()
            address = f"http://127.0.0.1:{serve(noting_headers(endpoint, headers_seen))}"
            base = {"openai_base_url": f"{address}/v1", "openai_api_key": "sk-canary", "openai_model": "the-model"}
            config = OpenAIModelConfig(**{**here, "name": "policy_model", **base, **(server or {})})
            return OpenAIModel(config=config, server_client=client), address

        yield start_model


def noting_headers(app: ASGIApp, seen: list[dict[str, str]] | None) -> ASGIApp:
    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and seen is not None and scope["path"].startswith("/v1/"):
            seen.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await app(scope, receive, send)

    return noting


@pytest_asyncio.fixture(autouse=True)
async def _closed_client(start: StartModel) -> AsyncIterator[None]:
    # Before the servers stop: they wait for connections that are still open.
    yield
    await close_global_aiohttp_client()


def ask(model: OpenAIModel, path: str, body: dict[str, Any]) -> httpx.Response:
    with TestClient(model.setup_webserver()) as client:
        return client.post(path, json=body)


def test_a_response_comes_back_and_the_endpoint_was_asked_for_the_configured_model(start: StartModel) -> None:
    model, address = start(default_answer={"message": "hello"})
    answer = ask(model, "/v1/responses", {"input": "hi", "model": "another", "engine_option": {"a": None}})
    assert NeMoGymResponse.model_validate(answer.json()).output_text == "hello"
    (asked,) = httpx.get(f"{address}/script/requests").json()["requests"]
    assert asked["body"] == {"input": "hi", "model": "the-model", "engine_option": {"a": None}}


def test_a_completion_comes_back(start: StartModel) -> None:
    model, _ = start(default_answer={"call": {"name": "f", "arguments": {"x": 1}}})
    body = {"messages": [{"role": "user", "content": "hi"}]}
    completion = NeMoGymChatCompletion.model_validate(ask(model, "/v1/chat/completions", body).json())
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.name == "f"


async def test_the_handlers_can_be_awaited_directly(start: StartModel) -> None:
    model, _ = start(default_answer={"message": "hello"})
    answer = await model.responses(NeMoGymResponseCreateParamsNonStreaming(input="hi"))
    assert answer.output_text == "hello"


def test_what_an_engine_adds_arrives_as_it_was_sent(start: StartModel) -> None:
    item = {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "x", "annotations": [], "engine": 1}],
        "prompt_token_ids": [1, 2],
        "generation_token_ids": [3],
        "generation_log_probs": [-0.5],
        "odd": {"a": [None]},
    }
    model, _ = start(default_answer={"output": [item]})
    assert ask(model, "/v1/responses", {"input": "hi"}).json()["output"] == [item]


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        pytest.param({"kind": "status", "status": 401}, 502, "model_auth", id="auth"),
        pytest.param(
            {"kind": "status", "status": 400, "code": "context_length_exceeded"},
            400,
            "context_length_exceeded",
            id="overflow",
        ),
        pytest.param({"kind": "not_a_response"}, 502, "model_bad_output", id="another-kind-of-json"),
        pytest.param({"kind": "html"}, 502, "model_bad_output", id="web-page"),
    ],
)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"input": "hi"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    ],
    ids=["responses", "chat"],
)
def test_a_failure_of_the_endpoint_keeps_its_kind(
    start: StartModel, path: str, body: dict[str, Any], fault: dict[str, Any], status: int, kind: str
) -> None:
    model, _ = start(faults=[fault])
    answer = ask(model, path, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["kind"], error["origin"]["server"]) == (status, kind, "policy_model")
    assert "canary" not in answer.text


def test_streaming_is_refused_and_the_endpoint_not_asked(start: StartModel) -> None:
    model, address = start()
    assert ask(model, "/v1/responses", {"input": "hi", "stream": True}).status_code == 422
    assert httpx.get(f"{address}/script/stats").json()["requests"] == 0


def test_the_shipped_configuration_has_the_settings_of_the_server() -> None:
    shipped = yaml.safe_load((FOLDER / "configs/openai_model.yaml").read_text())
    settings = shipped["policy_model"]["responses_api_models"]["openai_model"]
    assert OpenAIModelConfig(host="h", port=1, name="policy_model", **settings).openai_model == "${policy_model_name}"


@pytest.mark.parametrize(("apis", "api"), [(["chat"], "auto"), (["chat"], "chat"), (["responses"], "auto")])
def test_an_endpoint_with_one_api_answers_requests_of_both(start: StartModel, apis: list[str], api: str) -> None:
    model, address = start(default_answer={"message": "hello"}, apis=apis, server={"api": api})
    for _ in range(2):
        response = ask(model, "/v1/responses", {"input": "hi"})
        assert NeMoGymResponse.model_validate(response.json()).output_text == "hello"
        completion = ask(model, "/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]})
        assert NeMoGymChatCompletion.model_validate(completion.json()).choices[0].message.content == "hello"
    # What an endpoint lacks is found out once; a path that isn't there isn't counted by the endpoint.
    assert httpx.get(f"{address}/script/stats").json()["requests"] == 4


def test_a_setting_that_the_endpoint_has_no_api_for_is_said(start: StartModel) -> None:
    model, _ = start(apis=["chat"], server={"api": "responses"})
    error = ask(model, "/v1/responses", {"input": "hi"}).json()["error"]
    assert error["kind"] == "model_bad_request"
    assert "api: chat (or auto)" in error["reason"]


def test_organization_project_and_further_headers_and_fields_are_sent(start: StartModel) -> None:
    seen: list[dict[str, str]] = []
    settings = {
        "organization": "org-1",
        "project": "proj-1",
        "extra_headers": {"x-team": "rl"},
        "extra_body": {"service_tier": "flex", "seed": 1},
    }
    model, address = start(default_answer={"message": "hello"}, server=settings, headers_seen=seen)
    ask(model, "/v1/responses", {"input": "hi", "seed": 2}).raise_for_status()
    (asked,) = httpx.get(f"{address}/script/requests").json()["requests"]
    assert (asked["body"]["service_tier"], asked["body"]["seed"]) == ("flex", 2)
    sent = seen[0]
    assert (sent["openai-organization"], sent["openai-project"], sent["x-team"]) == ("org-1", "proj-1", "rl")


def test_requests_go_through_the_proxy_that_is_set(start: StartModel) -> None:
    asked: list[str] = []

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        # It is asked for what is at another host (RFC 9112, section 3.2.2).
        if scope["type"] == "http":
            asked.append(dict(scope["headers"])[b"host"].decode() + scope["path"])
            await JSONResponse({"error": {"message": "the proxy says no"}}, 403)(scope, receive, send)

    with serve_in_thread(proxy) as port:
        url = f"http://127.0.0.1:{port}"
        model, _ = start(server={"proxy": url, "openai_base_url": "http://endpoint.invalid/v1"})
        error = ask(model, "/v1/responses", {"input": "hi"}).json()["error"]
    assert error["kind"] == "model_auth"
    assert "the proxy says no" in error["reason"]
    assert asked == ["endpoint.invalid/v1/responses"]
