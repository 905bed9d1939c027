"""MCP servers on standard input and output, made with the official package, and environments that use them."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import httpx
import pytest
from fastapi import FastAPI

from nemo_gym.environments import BaseResourcesServerConfig, Environment, Rollout
from nemo_gym.server_utils import ServerClient

SERVER = '''
import asyncio, os, pathlib, sys
from mcp.server.mcpserver import MCPServer

server = MCPServer("test", log_level="ERROR")
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def die() -> str:
    """End the server."""
    os._exit(3)


@server.tool()
async def wait() -> str:
    """Take long."""
    await asyncio.sleep(3600)


@server.tool()
def secret() -> str:
    """Tell the token of the run, if it has one."""
    return os.environ.get("NEMO_GYM_RUN_TOKEN", "none") + os.environ.get("GIVEN", "")


server.run()
'''


class OnlyMcp(Environment):
    """No tools of its own."""

    def reward(self, rollout: Rollout) -> float:
        return 1.0


Use = Callable[..., AbstractAsyncContextManager[FastAPI]]


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    return tmp_path / "pid"


@pytest.fixture
def stdio(tmp_path: Path, pid_file: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that gives the settings of the server above."""
    (tmp_path / "server.py").write_text(SERVER)

    def settings(**more: Any) -> dict[str, Any]:
        return {"name": "test", "command": [sys.executable, str(tmp_path / "server.py"), str(pid_file)], **more}

    return settings


@asynccontextmanager
async def running(environment: type[Environment], **settings: Any) -> AsyncIterator[FastAPI]:
    """Give the app of an environment while it runs."""
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="env", **settings)
    app = environment(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver()
    async with app.router.lifespan_context(app):
        yield app


async def post(app: FastAPI, path: str, body: Any) -> httpx.Response:
    """Call a route of an app on this event loop, on which its connections live."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://env") as client:
        return await client.post(path, json=body)


async def tools_of(app: FastAPI) -> dict[str, Any]:
    """What `GET /tools` lists, by name."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://env") as client:
        return {tool["name"]: tool for tool in (await client.get("/tools")).json()}
