"""Resources servers: an environment's tools, its state per session, and the verifier."""

import asyncio
import inspect
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import Field, PrivateAttr

from nemo_gym.config.schema import BaseRunServerInstanceConfig, Domain
from nemo_gym.mcp_tools.client_tools import McpClientTools
from nemo_gym.mcp_tools.serving import McpEndpoint
from nemo_gym.mcp_tools.settings import McpServerSettings
from nemo_gym.servers.http.session_ids import SESSION_ID_KEY, SESSION_KEPT_KEY, TAKES_TURNS_KEY
from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy
from nemo_gym.servers.serving.environment_policies import tool_policy, turn_policy, verify_policy
from nemo_gym.servers.serving.server import SimpleServer
from nemo_gym.servers.serving.tool_listing import has_route, has_unlisted_tools, list_tools
from nemo_gym.servers.sessions.registry import SessionRegistry
from nemo_gym.servers.sessions.tools import MORE_TOOLS_HEADER, NEXT_TURN_PATH, RESERVED_PATHS
from nemo_gym.wire.environment import (
    BaseRunRequest,
    BaseSeedSessionRequest,
    BaseSeedSessionResponse,
    BaseVerifyRequest,
    BaseVerifyResponse,
    NextTurnRequest,
    UserTurn,
)
from nemo_gym.wire.failure import own_kind
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses import NeMoGymResponse
from nemo_gym.wire.tool_arguments import tool_arguments

__all__ = [
    "BaseResourcesServer",
    "BaseResourcesServerConfig",
    "BaseRunRequest",
    "BaseSeedSessionRequest",
    "BaseSeedSessionResponse",
    "BaseVerifyRequest",
    "BaseVerifyResponse",
    "NeMoGymResponse",
    "NextTurnRequest",
    "SimpleResourcesServer",
    "ToolError",
    "UserTurn",
    "tool_arguments",
]

_SWEEP_EVERY_S = 5.0


class BaseResourcesServerConfig(BaseRunServerInstanceConfig):
    """Settings every resources server has."""

    domain: Domain | None = Field(default=None, description="What the environment is about.")
    tool_timeout_s: float = Field(default=300.0, gt=0, description="Longest one tool call may take, in seconds.")
    turn_timeout_s: float = Field(
        default=600.0, gt=0, description="Longest the user's next message may take, in seconds."
    )
    verify_timeout_s: float = Field(default=600.0, gt=0, description="Longest one verification may take, in seconds.")
    session_idle_limit_s: float = Field(
        default=3600.0, gt=0, description="A session nobody uses for so long is cleaned up, in seconds."
    )
    mcp: bool = Field(default=False, description="Serve the tools at /mcp to clients of the Model Context Protocol.")
    mcp_servers: list[McpServerSettings] = Field(default=[], description="MCP servers whose tools it offers.")


class ToolError(HTTPException):
    """Text the policy reads as the result of its tool call: a refusal, or what was wrong with the arguments."""

    def __init__(self, message: str) -> None:
        super().__init__(status_code=400, detail=message)


class BaseResourcesServer(SimpleServer):
    """A resources server whose routes are all its own."""

    config: BaseResourcesServerConfig


class SimpleResourcesServer(BaseResourcesServer):
    """An environment.

    Subclasses add one route per tool in `setup_webserver`, and score in `verify`. State per session: name its type in
    `session_state` and read it with `state(request)`; it is made when a session is seeded, and `close_session` gets it
    when the session ends, however it ends. A server that names one answers a call without a seeded session with the
    failure `session_lost`.

    One that adds the route `/next_turn` (a NextTurnRequest in, a UserTurn out) answers the policy's messages with the
    user's next, until it says that the episode is over.
    """

    session_state: ClassVar[Callable[[], Any] | None] = None

    verifier_reads_token_arrays: ClassVar[bool] = True
    """False: `verify` never looks at token ids and log-probabilities, and they pass it unparsed. It then sees one text
    in place of each array; what it returns has the arrays again. For 65,536 tokens that saves 9 ms of CPU."""

    _registry: SessionRegistry | None = PrivateAttr(default=None)
    _app: FastAPI | None = PrivateAttr(default=None)
    _mcp: McpEndpoint | None = PrivateAttr(default=None)

    @property
    def _sessions(self) -> SessionRegistry:
        # Made when it is first needed: an author's own `model_post_init` need not call ours.
        if self._registry is None:
            new_state = type(self).session_state or (lambda: None)
            self._registry = SessionRegistry(new_state, self._clean_up, self.config.session_idle_limit_s)
        return self._registry

    def setup_webserver(self) -> FastAPI:
        """Return the app with `/seed_session`, `/verify`, `/close_session` and `/tools`."""
        self._app = app = super().setup_webserver()
        app.post("/seed_session")(self.seed_session if self._has_own_seed() else self._seed_nothing)
        app.post("/verify")(self.verify)
        app.post("/close_session")(self._close_session)

        @app.get("/tools")
        async def tools(response: Response) -> list[JsonObject]:
            if has_unlisted_tools(app):
                response.headers[MORE_TOOLS_HEADER] = "1"
            return list_tools(app)

        if self.config.mcp:
            name, timeout_s = self.config.name, self.config.tool_timeout_s
            self._mcp = McpEndpoint(app, name, self.session_cookie_name(), timeout_s)
        return app

    # The two handlers below are overridden with `body`, with `request: Request`, or with both, in any order.

    async def seed_session(self, *args: Any, **kwargs: Any) -> Any:
        """Prepare a session for the task in `body: BaseSeedSessionRequest`; return a BaseSeedSessionResponse."""
        return BaseSeedSessionResponse()

    @abstractmethod
    async def verify(self, *args: Any, **kwargs: Any) -> Any:
        """Return `body`, a BaseVerifyRequest, with its reward: a BaseVerifyResponse. A plain `def` runs in a thread."""
        raise NotImplementedError

    async def close_session(self, session_id: str, state: Any) -> None:
        """Clean up what a session holds; called once, when it is closed or expires."""

    def state(self, request: Request) -> Any:
        """Return the state of the request's session; raises the `session_lost` failure when there is none."""
        return self._sessions.state(request.session[SESSION_ID_KEY])

    def keeps_sessions(self) -> bool:
        """Tell whether a call needs a seeded session."""
        return type(self).session_state is not None

    def takes_turns(self) -> bool:
        """Tell whether the server has the route `/next_turn`."""
        return self._app is not None and has_route(self._app, NEXT_TURN_PATH)

    def endpoint_policy(self, path: str) -> EndpointPolicy:
        """Return the policy of a route of ours, or of a tool, which is everything else."""
        name, config = self.config.name, self.config
        wrap = self._inside_session if self._tracks_sessions() else None
        match path:
            case "/seed_session":
                seed = self._seed_once if self._tracks_sessions() else self._seed_unkept
                return EndpointPolicy(name, own_kind(name, "seed_error"), "seed", wrap=seed)
            case "/next_turn":
                return turn_policy(config, wrap)
            case "/verify":
                return verify_policy(config, wrap, passes_token_arrays=not self.verifier_reads_token_arrays)
            case _ if path in RESERVED_PATHS:
                return EndpointPolicy(name, "agent_error", "cleanup")
        return tool_policy(config, wrap)

    @asynccontextmanager
    async def _running(self, app: FastAPI) -> AsyncIterator[None]:
        """Expire idle sessions while the server runs, and clean up every open one at its end."""
        sweeper = asyncio.create_task(self._sweep()) if self._tracks_sessions() else None
        async with super()._running(app), self._with_mcp(app):
            try:
                yield
            finally:
                if sweeper is not None:
                    sweeper.cancel()
                await self._sessions.close_all()

    @asynccontextmanager
    async def _with_mcp(self, app: FastAPI) -> AsyncIterator[None]:
        """Take the tools of the configured MCP servers, and serve all tools over MCP where that is wanted."""
        async with AsyncExitStack() as opened:
            if self.config.mcp_servers:
                servers = McpClientTools(
                    self.config.mcp_servers, _folder_of(type(self)), f"{self.config.name}.mcp_servers"
                )
                opened.push_async_callback(servers.close)
                await servers.open(app)
            if self._mcp is not None:
                await opened.enter_async_context(self._mcp.running())
            yield

    async def _clean_up(self, session_id: str, state: Any) -> None:
        if self._mcp is not None:
            self._mcp.session_ended(session_id)
        await self.close_session(session_id, state)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(_SWEEP_EVERY_S, self.config.session_idle_limit_s / 4))
            await self._sessions.expire_idle()

    def _tracks_sessions(self) -> bool:
        return self.keeps_sessions() or self._has_own_seed() or self._mcp is not None

    def _has_own_seed(self) -> bool:
        return type(self).seed_session is not SimpleResourcesServer.seed_session

    async def _seed_nothing(self, body: BaseSeedSessionRequest) -> BaseSeedSessionResponse:
        return BaseSeedSessionResponse()

    async def _close_session(self, request: Request) -> dict[str, bool]:
        return {"closed": await self._sessions.close(request.session[SESSION_ID_KEY])}

    async def _seed_once(self, request: Request, raw: bytes, invoke: Callable[[], Awaitable[Any]]) -> Any:
        self._tell(request, is_kept=True)
        session_id = request.session[SESSION_ID_KEY]
        answer = await self._sessions.seed(session_id, raw, invoke)
        if self._mcp is not None:
            self._mcp.session_seeded(session_id, raw)
        return answer

    async def _seed_unkept(self, request: Request, raw: bytes, invoke: Callable[[], Awaitable[Any]]) -> Any:
        _ = request.session[SESSION_ID_KEY]  # asked for, and thereby made: a seed is answered with its cookie
        self._tell(request, is_kept=False)
        return await invoke()

    def _tell(self, request: Request, *, is_kept: bool) -> None:
        request.session[SESSION_KEPT_KEY] = "1" if is_kept else "0"
        if self.takes_turns():
            request.session[TAKES_TURNS_KEY] = "1"

    async def _inside_session(self, request: Request, raw: bytes, invoke: Callable[[], Awaitable[Any]]) -> Any:
        session_id = request.session[SESSION_ID_KEY]
        if not self.keeps_sessions() and not self._sessions.knows(session_id):
            return await invoke()  # it keeps its own state, and decides what a call without a seed means
        async with self._sessions.inside(session_id):
            return await invoke()


def _folder_of(server: type) -> Path:
    try:
        return Path(inspect.getfile(server)).parent
    except (OSError, TypeError):  # written in a notebook
        return Path.cwd()
