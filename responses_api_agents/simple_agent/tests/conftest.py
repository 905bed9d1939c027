"""A whole run in one process: the agent, an environment and the scripted model, each on a port of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI, HTTPException, Request
from omegaconf import DictConfig
from pydantic import BaseModel, PrivateAttr
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
    ToolError,
)
from nemo_gym.config_types import ModelServerRef, ResourcesServerRef
from nemo_gym.server_utils import BaseServerConfig, HttpResponse, ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.serving.testing import serving_in_threads
from resources_servers.example_simple_weather.app import SimpleWeatherConfig, SimpleWeatherServer
from responses_api_agents.simple_agent.app import SimpleAgent, SimpleAgentConfig
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig

KINDS = {"env": "resources_servers", "model": "responses_api_models", "agent": "responses_api_agents"}


class City(BaseModel):
    city: str = "nowhere"


class TrickyServer(SimpleResourcesServer):
    """Keeps the cities of each session; its tools refuse, raise and hang on demand; counts its clean-ups."""

    session_state = list
    config: BaseResourcesServerConfig
    _cleaned: list[Any] = PrivateAttr(default_factory=list)
    _verifying: threading.Event = PrivateAttr(default_factory=threading.Event)

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        for tool in (self.visit, self.refuse, self.crash, self.hang, self.talk):
            app.post(f"/{tool.__name__}")(tool)
        return app

    async def visit(self, request: Request, body: City) -> dict[str, Any]:
        self.state(request).append(body.city)
        return {"visited": self.state(request)}

    async def refuse(self, body: City) -> None:
        raise ToolError(f"{body.city} is closed")

    async def crash(self, body: City) -> None:
        raise RuntimeError("the secret is canary")

    async def hang(self, body: City) -> None:
        await asyncio.sleep(60)

    async def talk(self, body: City) -> str:
        return "blah " * 100

    async def verify(self, request: Request, body: BaseVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        wanted = (body.model_extra or {}).get("verify")
        if wanted == "crash":
            raise RuntimeError("the answer is canary")
        if wanted == "hang":
            self._verifying.set()
            await asyncio.sleep(60)
        if wanted == "refuse":
            raise HTTPException(422, "no such task")
        return BaseVerifyResponse(**body.model_dump(), reward=float(len(self.state(request))))

    async def close_session(self, session_id: str, state: Any) -> None:
        self._cleaned.append(list(state))


class Recorder:
    """Writes down which paths of an app were asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"])
        await self._app(scope, receive, send)


class Dropping:
    """An app that hangs up after the headers of one of its responses, counted from 1."""

    def __init__(self, app: ASGIApp, dropped: int | None) -> None:
        self._app, self._dropped, self._calls = app, dropped, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._calls += scope["type"] == "http"
        if scope["type"] != "http" or self._calls != self._dropped:
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})


class Run:
    """The three servers, and what the tests ask of them."""

    def __init__(self, environment: SimpleResourcesServer, recorder: Recorder, client: ServerClient) -> None:
        self.environment: Any = environment
        self._recorder = recorder
        self.client = client

    @property
    def tool_paths(self) -> list[str]:
        """Paths of the environment that were asked for, without the framework's own."""
        own = ("/seed_session", "/next_turn", "/verify", "/close_session", "/tools")
        return [path for path in self._recorder.paths if path not in own]

    @property
    def paths(self) -> list[str]:
        """All paths of the environment that were asked for, in order, without the list of its tools."""
        return [path for path in self._recorder.paths if path != "/tools"]

    @property
    def times_asked_for_tools(self) -> int:
        """How often the environment was asked what it offers."""
        return self._recorder.paths.count("/tools")

    async def post(self, row: dict[str, Any]) -> HttpResponse:
        """POST a row to the agent's `/run`."""
        return await self.client.post("agent", "/run", json=row)

    async def rollout(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the agent's answer to a row, which has to be a good one."""
        answer = await self.post(row)
        decoded: dict[str, Any] = await answer.json()
        assert answer.status == 200, decoded
        return decoded


@pytest.fixture
def start_run() -> Iterator[Callable[..., Run]]:
    """Return a function that starts the three servers; keywords are settings of the agent."""
    with serving_in_threads() as serve_app:

        def start(
            environment: str | type[SimpleResourcesServer] = "tricky",
            faults: list[Any] | None = None,
            dropped_model_call: int | None = None,
            model: dict[str, Any] | None = None,
            **agent_settings: Any,
        ) -> Run:
            ports: dict[str, int] = {}
            client = ServerClient(BaseServerConfig(host="", port=1), DictConfig({}))

            def serve(name: str, app: ASGIApp) -> None:
                ports[name] = serve_app(app)
                block = {"impl": {"host": "127.0.0.1", "port": ports[name]}}
                client.global_config_dict[name] = {KINDS[name]: block}

            here: dict[str, Any] = {"host": "", "port": 0, "entrypoint": ""}
            server = _environment(environment, here, client)
            recorder = Recorder(server.setup_webserver())
            serve("env", recorder)
            settings = ScriptedModelConfig(**here, name="model", faults=faults or [], **(model or {}))
            scripted = ScriptedModel(config=settings, server_client=client).setup_webserver()
            serve("model", Dropping(scripted, dropped_model_call))
            config = SimpleAgentConfig(
                **here,
                name="agent",
                resources_server=ResourcesServerRef(name="env"),
                model_server=ModelServerRef(name="model"),
                **agent_settings,
            )
            serve("agent", SimpleAgent(config=config, server_client=client).setup_webserver())
            return Run(server, recorder, client)

        yield start


def _environment(
    chosen: str | type[SimpleResourcesServer], here: dict[str, Any], client: ServerClient
) -> SimpleResourcesServer:
    if chosen == "weather":
        return SimpleWeatherServer(config=SimpleWeatherConfig(**here, name="env"), server_client=client)
    config = BaseResourcesServerConfig(**here, name="env", tool_timeout_s=0.3, turn_timeout_s=0.3, verify_timeout_s=5)
    made = TrickyServer if isinstance(chosen, str) else chosen
    return made(config=config, server_client=client)


@pytest_asyncio.fixture(autouse=True)
async def _closed_client(start_run: Callable[..., Run]) -> AsyncIterator[None]:
    # Before the servers stop: they wait for connections that are still open.
    yield
    await close_global_aiohttp_client()
