"""The tools of MCP servers as tools of an environment: a route for each, with the schema that the server gives."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict
from starlette.routing import Route

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.mcp_tools.connection import McpConnection, McpConnectionError
from nemo_gym.mcp_tools.settings import McpServerSettings, require_mcp
from nemo_gym.servers.sessions.tools import is_tool_name
from nemo_gym.wire.json_object import JsonObject

if TYPE_CHECKING:
    from mcp.types import Tool


class McpArguments(BaseModel):
    """The arguments of a call; the server that has the tool checks them."""

    model_config = ConfigDict(extra="allow")

    schema_of_tool: ClassVar[JsonObject] = {"type": "object", "properties": {}}
    has_strict_schema: ClassVar[bool] = False

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> JsonObject:
        """Return the schema as the server gives it."""
        return cls.schema_of_tool


class McpClientTools:
    """The MCP servers of one environment.

    Args:
        servers: As configured.
        folder: Of the environment.
        where: The setting, for errors.

    Raises:
        ConfigError: The package `mcp` isn't installed.
    """

    def __init__(self, servers: Sequence[McpServerSettings], folder: Path, where: str) -> None:
        require_mcp(where)
        self._where = where
        self._connections = [McpConnection(settings, folder) for settings in servers]

    async def open(self, app: FastAPI) -> None:
        """Connect to every server, and give `app` a route for each of its tools.

        Raises:
            ConfigError: A server can't be used, or its tools can't be offered.
        """
        opening = [connection.open() for connection in self._connections]
        found = await asyncio.gather(*opening, return_exceptions=True)
        failed = [error for error in found if isinstance(error, BaseException)]
        mistakes = [Mistake(str(error), where=self._where) for error in failed if isinstance(error, McpConnectionError)]
        try:
            for error in failed:
                if not isinstance(error, McpConnectionError):
                    raise error
            for connection, tools in zip(self._connections, found, strict=True):
                if not isinstance(tools, BaseException):
                    mistakes += self._offer(app, connection, tools)
            if mistakes:
                raise ConfigError(*mistakes)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End every connection."""
        await asyncio.gather(*(connection.close() for connection in self._connections))

    def _offer(self, app: FastAPI, connection: McpConnection, tools: "list[Tool]") -> Iterator[Mistake]:
        settings = connection.settings
        wanted = settings.tools if settings.tools is not None else [tool.name for tool in tools]
        by_name = {tool.name: tool for tool in tools}
        for name in wanted:
            path = f"/{settings.prefix}{name}"
            if name not in by_name:
                yield Mistake(f"the MCP server '{settings.name}' has no tool '{name}'", self._where, list(by_name))
            elif not is_tool_name(path[1:]):
                yield Mistake(f"a tool can't be called '{path[1:]}'", self._where, fix="leave it out of `tools`")
            elif any(isinstance(route, Route) and route.path == path for route in app.routes):
                fix = "give one of the servers a `prefix`"
                yield Mistake(f"there are two tools named '{path[1:]}'", self._where, fix=fix)
            else:
                _add_route(app, path, connection, by_name[name])


def _add_route(app: FastAPI, path: str, connection: McpConnection, tool: "Tool") -> None:
    async def call(body: Any) -> Response:
        return Response(await connection.call(tool.name, dict(body.model_extra or {})), media_type="text/plain")

    schema = {"properties": {}, **tool.input_schema}
    call.__annotations__["body"] = type("McpArguments", (McpArguments,), {"schema_of_tool": schema})
    app.post(path, description=tool.description or tool.title or tool.name)(call)
