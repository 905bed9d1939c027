"""Every server kind against requests made from its own OpenAPI page: none of them is answered with a 500."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from omegaconf import DictConfig

from nemo_gym.config_types import ModelServerRef, ResourcesServerRef
from nemo_gym.server_utils import BaseServerConfig, HeadServer, ServerClient
from nemo_gym.servers.serving.testing import serving_in_threads
from resources_servers.example_room_booking.app import RoomBookingConfig, RoomBookingServer
from resources_servers.example_simple_weather.app import SimpleWeatherConfig, SimpleWeatherServer
from responses_api_agents.simple_agent.app import SimpleAgent, SimpleAgentConfig
from responses_api_models.openai_model.app import OpenAIModel, OpenAIModelConfig
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig
from tests.run_facts import FixedFacts

EXAMPLES = 20
EXAMPLES_OF_VERIFY = 4  # to make up one trajectory takes longer than to answer it
HERE: dict[str, Any] = {"host": "", "port": 0, "entrypoint": ""}


def client(**apps: FastAPI) -> ServerClient:
    """A client whose servers are called in memory."""
    blocks = {name: {"resources_servers": {"impl": {"host": "127.0.0.1", "port": 1}}} for name in apps}
    made = ServerClient(BaseServerConfig(host="127.0.0.1", port=1), DictConfig(blocks))
    made.use_local_apps(apps)
    return made


def weather(_: str) -> FastAPI:
    config = SimpleWeatherConfig(**HERE, name="weather")
    return SimpleWeatherServer(config=config, server_client=client()).setup_webserver()


def room_booking(_: str) -> FastAPI:
    return RoomBookingServer(config=RoomBookingConfig(**HERE, name="rooms"), server_client=client()).setup_webserver()


def scripted_model(_: str) -> FastAPI:
    return ScriptedModel(config=ScriptedModelConfig(**HERE, name="m"), server_client=client()).setup_webserver()


def openai_model(endpoint: str) -> FastAPI:
    upstream = {"openai_base_url": endpoint, "openai_api_key": "sk-none", "openai_model": "m"}
    return OpenAIModel(config=OpenAIModelConfig(**HERE, name="m", **upstream), server_client=client()).setup_webserver()


def simple_agent(endpoint: str) -> FastAPI:
    refs = {"resources_server": ResourcesServerRef(name="env"), "model_server": ModelServerRef(name="model")}
    config = SimpleAgentConfig(**HERE, name="agent", max_steps=3, **refs)
    apps = {"env": weather(endpoint), "model": openai_model(endpoint)}
    return SimpleAgent(config=config, server_client=client(**apps)).setup_webserver()


def head(_: str) -> FastAPI:
    return HeadServer(BaseServerConfig(host="127.0.0.1", port=1), FixedFacts({"a": 1})).setup_webserver()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An OpenAI-compatible endpoint with the scripted answer."""
    with serving_in_threads() as serve:
        yield f"http://127.0.0.1:{serve(scripted_model(''))}/v1"


@pytest.mark.parametrize("make", [weather, room_booking, scripted_model, openai_model, simple_agent, head])
def test_no_request_from_the_openapi_page_is_answered_with_a_500(make: Callable[[str], FastAPI], endpoint: str) -> None:
    app = make(endpoint)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert operations
    for operation in operations:
        _try(operation, _session_at(app))


def _session_at(app: FastAPI) -> dict[str, str]:
    """The cookies of a seeded session, without which a server that keeps state refuses everything; else nothing."""
    answer = TestClient(app).post("/seed_session", json={})
    return dict(answer.cookies)


def _try(operation: Any, cookies: dict[str, str]) -> None:
    @settings(
        max_examples=EXAMPLES_OF_VERIFY if operation.path == "/verify" else EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def send(case: Any) -> None:
        answer = case.call(cookies=cookies)
        assert answer.status_code < 500, f"{operation.label} {case.body!r:.500}: {answer.text[:500]}"
        answered.add(answer.status_code)

    answered: set[int] = set()
    send()
    assert answered != {409}, "the session was not known: nothing was tried"
