"""An environment's tools over streamable HTTP at `/mcp`, for clients of the Model Context Protocol.

Calls go through the tools' own routes: the same handlers, sessions, bounds and texts as the agent's calls.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import FastAPI
from omegaconf import DictConfig
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.mcp_tools.settings import require_mcp
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.session_ids import SESSION_ID_HEADER, SESSION_ID_KEY
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.servers.serving.tool_listing import list_tools
from nemo_gym.servers.sessions.environment import EnvironmentClient
from nemo_gym.servers.sessions.tool_calls import ToolResult, run_tool_call
from nemo_gym.servers.sessions.tools import MCP_PATH
from nemo_gym.wire.failure import RolloutError
from nemo_gym.wire.json_object import JsonObject

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

_MAX_RESULT_CHARS = 200_000
_GRACE_S = 10.0  # the route's own bound, which names the setting, comes first


class McpEndpoint:
    """ASGI app for `/mcp` of one environment.

    A client says which session its calls belong to with the session's cookie, or with its value in the header
    `x-nemo-gym-session-id`. It then sees the tools that the session's task declares; the environment's own where the
    task declares none, or the client names no session.

    Args:
        app: The environment's app, which gets the route.
        name: Of the instance.
        cookie_name: Of its sessions.
        tool_timeout_s: Longest one call may take.

    Raises:
        ConfigError: The package `mcp` isn't installed.
    """

    def __init__(self, app: FastAPI, name: str, cookie_name: str, tool_timeout_s: float) -> None:
        require_mcp(f"{name}.mcp")
        self._app = app
        self._name = name
        self._cookie_name = cookie_name
        self._deadline = Deadline(tool_timeout_s + _GRACE_S, f"setting {name}.tool_timeout_s", "tool_timeout")
        here = DictConfig({name: {"resources_servers": {name: {"host": "127.0.0.1", "port": 0}}}})
        client = ServerClient(BaseServerConfig(host="127.0.0.1", port=0), here)
        client.use_local_apps({name: app})
        self._environment = EnvironmentClient(client, name)
        self._declared: dict[str, frozenset[str]] = {}
        self._manager: StreamableHTTPSessionManager | None = None
        app.router.routes.append(Route(MCP_PATH, self, include_in_schema=False))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a client."""
        if self._manager is None:
            raise RuntimeError(f"{self._name} isn't running yet")
        await self._manager.handle_request(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer clients while the `with` block runs; entered and left by the same task."""
        from mcp.server.lowlevel import Server
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        server: Any = Server(self._name, on_list_tools=self._list, on_call_tool=self._call)
        # Stateless: what belongs to a rollout is in the environment's session, which any worker finds by its id.
        self._manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)
        async with self._manager.run():
            try:
                yield
            finally:
                self._manager = None

    def session_seeded(self, session_id: str, raw: bytes) -> None:
        """Note the tools that the task of a session declares."""
        tools = (orjson.loads(raw).get("responses_create_params") or {}).get("tools")
        if tools:
            self._declared[session_id] = frozenset(str(tool.get("name")) for tool in tools if isinstance(tool, dict))

    def session_ended(self, session_id: str) -> None:
        """Forget a session."""
        self._declared.pop(session_id, None)

    async def _list(self, context: Any, params: Any) -> Any:
        from mcp.types import ListToolsResult, Tool

        tools = self._tools_for(context.request.scope)
        return ListToolsResult(
            tools=[
                Tool(name=tool["name"], description=tool["description"], input_schema=tool["parameters"])
                for tool in tools.values()
            ]
        )

    async def _call(self, context: Any, params: Any) -> Any:
        from mcp.types import CallToolResult, TextContent

        request = context.request
        signed = request.headers.get(SESSION_ID_HEADER) or request.cookies.get(self._cookie_name)
        cookies = {self._cookie_name: signed} if signed else {}
        arguments = orjson.dumps(params.arguments or {}).decode()
        text, is_error = await self._result(params.name, arguments, cookies, self._tools_for(request.scope))
        return CallToolResult(content=[TextContent(type="text", text=text)], is_error=is_error)

    async def _result(
        self, name: str, arguments: str, cookies: Mapping[str, str], tools: Collection[str]
    ) -> tuple[str, bool]:
        session = self._environment.session(cookies)
        try:
            result = await run_tool_call(
                session, name, arguments, callable_tools=tools, deadline=self._deadline, max_chars=_MAX_RESULT_CHARS
            )
        except RolloutError as error:
            return orjson.dumps({"error": f"{error.failure.kind}: {error.failure.reason}"}).decode(), True
        return result.text, _is_error(result)

    def _tools_for(self, scope: Scope) -> dict[str, JsonObject]:
        offered = {str(tool["name"]): tool for tool in list_tools(self._app)}
        session = scope["session"]
        named = session[SESSION_ID_KEY] if dict.__contains__(session, SESSION_ID_KEY) else None
        declared = self._declared.get(named, offered.keys()) if named is not None else offered.keys()
        return {name: tool for name, tool in offered.items() if name in declared}


def _is_error(result: ToolResult) -> bool:
    return result.failure is not None or result.is_refusal
