"""An agent on a real socket that answers `/run` as a test says, and a collection that asks it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from omegaconf import DictConfig

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.rollouts.collection import Collection
from nemo_gym.rollouts.options import RolloutCollectionConfig
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from tests.bounds import HANGS_AFTER_S, NEVER_S

Row = dict[str, Any]


@dataclass
class Agent:
    """What the agent answers, and what it was asked. `answer` may be replaced by a test."""

    port: int = 0
    asked: list[Row] = field(default_factory=list)
    in_flight: int = 0
    peak: int = 0
    cancelled: int = 0
    transports: list[Any] = field(default_factory=list)
    answer: Callable[[Row], Awaitable[web.Response]] | None = None

    async def run(self, request: web.Request) -> web.Response:
        row = await request.json()
        self.asked.append(row)
        self.transports.append(request.transport)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await (self.answer or scored)(row)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1

    def client(self) -> ServerClient:
        block = {"host": "127.0.0.1", "port": self.port}
        config = {"agent": {"responses_api_agents": {"any": block}}}
        return ServerClient(BaseServerConfig(host="127.0.0.1", port=1), DictConfig(config))


async def scored(row: Row) -> web.Response:
    return web.json_response({**row, "reward": 1.0, "response": {"output": []}})


def failing(kind: str, stage: str | None = None, *, terminal: bool = False) -> Callable[[Row], Awaitable[web.Response]]:
    """Return an answer that is always this failure."""

    async def answer(row: Row) -> web.Response:
        error = {"kind": kind, "reason": "it broke", "stage": stage, "terminal": terminal}
        return web.json_response({"error": error}, status=500)

    return answer


async def after(seconds: float, row: Row) -> web.Response:
    await asyncio.sleep(seconds)
    return await scored(row)


async def never(row: Row) -> web.Response:
    return await after(NEVER_S, row)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    agent = Agent()
    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/run", agent.run)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    agent.port = runner.addresses[0][1]
    yield agent
    await close_global_aiohttp_client()
    await runner.cleanup()


MakeCollection = Callable[..., Collection]


@pytest.fixture
def collection(agent: Agent, tmp_path: Path) -> MakeCollection:
    """Make a collection of so many tasks (or of these lines)."""

    def make(tasks: int | list[str], **options: Any) -> Collection:
        lines = [task_line(n) for n in range(tasks)] if isinstance(tasks, int) else tasks
        path = tmp_path / "tasks.jsonl"
        path.write_text("".join(line + "\n" for line in lines))
        given = {
            "agent_name": "agent",
            "output_jsonl_fpath": tmp_path / "out" / "r.jsonl",
            "max_attempts": 1,
            **options,
        }
        return Collection(RolloutCollectionConfig(input_jsonl_fpath=path, **given), agent.client())

    return make


def task_line(number: int, **more: Any) -> str:
    return json.dumps({"responses_create_params": {"input": f"task {number}"}, "number": number, **more})
