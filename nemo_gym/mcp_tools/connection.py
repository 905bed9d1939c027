"""A connection to one MCP server: opened with the environment, used by all its sessions, made anew after a break."""

import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException

from nemo_gym.mcp_tools.settings import McpServerSettings
from nemo_gym.wire.failure import RolloutError, rollout_error

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, Tool

_WITH_PARENT = Path(__file__).with_name("with_parent.py")
_STOPS_WITHIN_S = 5.0  # the package's own bounds, one after the other, are shorter
_MOST_PAGES = 100
_log = logging.getLogger("nemo_gym.server")


class McpConnectionError(Exception):
    """An MCP server can't be started or reached, or doesn't list its tools; the message says which and why."""


class McpConnection:
    """The connection to one server. What it opens lives in a task of its own, which also closes it.

    Args:
        settings: Of the server.
        folder: Of the environment: where a command is run.
    """

    def __init__(self, settings: McpServerSettings, folder: Path) -> None:
        self.settings = settings
        self._folder = folder
        self._client: Client | None = None
        self._living: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._opening = asyncio.Lock()

    async def open(self) -> "list[Tool]":
        """Connect, and return the tools of the server; raises McpConnectionError."""
        ready: asyncio.Future[list[Tool]] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        living = asyncio.create_task(self._live(ready, self._over))
        self._living.add(living)
        living.add_done_callback(self._living.discard)
        try:
            async with asyncio.timeout(self.settings.start_timeout_s):
                return await asyncio.shield(ready)
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError):
                what = f"{self._named()} didn't list its tools within {self.settings.start_timeout_s:g} s"
                raise McpConnectionError(f"{what} (start_timeout_s)") from error
            raise

    async def close(self) -> None:
        """End the connection, and the process where it was started for it; within a few seconds."""
        self._over.set()
        if self._living:
            _, late = await asyncio.wait(set(self._living), timeout=_STOPS_WITHIN_S)
            for living in late:
                living.cancel()

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        """Return the result of a call as text for the policy.

        Raises:
            HTTPException: The server refused the call, in words.
            RolloutError: `tool_error`, it is gone; `tool_timeout`, it didn't answer in time.
        """
        client = await self._connected()
        from mcp import MCPError
        from mcp.types import INVALID_PARAMS

        try:
            async with asyncio.timeout(self.settings.call_timeout_s):
                result = await client.call_tool(tool, arguments)
        except TimeoutError as error:
            reason = f"{self._named()} didn't answer within {self.settings.call_timeout_s:g} s (call_timeout_s)"
            raise rollout_error("tool_timeout", reason) from error
        except MCPError as error:
            if error.code == INVALID_PARAMS:
                raise _refusal(error.message) from error
            raise self._broken(error) from error
        except Exception as error:  # whatever a transport raises when its other end is gone
            raise self._broken(error) from error
        if result.is_error:
            raise _refusal(_text(result))
        return _text(result)

    async def _connected(self) -> "Client":
        async with self._opening:
            if self._client is None:
                try:
                    await self.open()
                except McpConnectionError as error:
                    raise rollout_error("tool_error", str(error)) from error
            assert self._client is not None
            return self._client

    def _broken(self, error: Exception) -> RolloutError:
        """Give the connection up, so that the next call makes a new one."""
        self._client = None
        self._over.set()
        return rollout_error("tool_error", f"{self._named()} broke off: {error}")

    async def _live(self, ready: "asyncio.Future[list[Tool]]", over: asyncio.Event) -> None:
        try:
            async with AsyncExitStack() as opened:
                client = await self._connect(opened)
                ready.set_result(await _all_tools(client))
                self._client = client
                await over.wait()
        except Exception as error:
            if ready.done():
                _log.warning("closing the connection to %s: %r", self._named(), error)
            else:
                ready.set_exception(McpConnectionError(f"{self._named()} can't be used: {_innermost(error)}"))
        finally:
            if self._over is over:
                self._client = None

    async def _connect(self, opened: AsyncExitStack) -> "Client":
        from mcp import Client, StdioServerParameters
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        settings = self.settings
        if settings.url is not None:
            http = await opened.enter_async_context(create_mcp_http_client(headers=settings.headers))
            return await opened.enter_async_context(Client(streamable_http_client(settings.url, http_client=http)))
        program, *arguments = settings.command or []
        program = sys.executable if program in ("python", "python3") else program
        command = ["-I", str(_WITH_PARENT), program, *arguments]
        parameters = StdioServerParameters(
            command=sys.executable, args=command, env=settings.env, cwd=str(self._folder)
        )
        return await opened.enter_async_context(Client(parameters))

    def _named(self) -> str:
        return f"the MCP server '{self.settings.name}'"


async def _all_tools(client: "Client") -> "list[Tool]":
    tools: list[Tool] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools
    raise McpConnectionError(f"it has more than {_MOST_PAGES} pages of tools")


def _refusal(text: str) -> HTTPException:
    """Return what a tool raises for a refusal that the policy reads."""
    return HTTPException(400, text)


def _text(result: "CallToolResult") -> str:
    """Return what a policy reads of a result: its texts; of anything else, what it is."""
    parts = [str(getattr(block, "text", None) or f"[{block.type}]") for block in result.content]
    return "\n".join(parts)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error
