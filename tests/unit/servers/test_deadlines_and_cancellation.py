"""Handlers end at their deadline, and when their caller has gone; one that blocks holds up nobody else."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.base_responses_api_agent import BaseResponsesAPIAgentConfig, SimpleResponsesAPIAgent
from nemo_gym.server_utils import RolloutError, ServerClient
from tests.bounds import HANGS_AFTER_S, NEVER_S

VERIFY_REQUEST = {
    "responses_create_params": {"input": "hi"},
    "response": {"id": "r", "created_at": 1, "model": "m", "output": []},
}


class Nothing(BaseModel):
    pass


class SlowServer(SimpleResourcesServer):
    config: BaseResourcesServerConfig
    cancelled: Any
    release: Any
    entered: Any

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/wait")(self.wait)
        app.post("/block")(self.block)
        app.post("/block_with_query")(self.block_with_query)
        return app

    async def wait(self, body: Nothing) -> None:
        try:
            self.entered.release()
            await asyncio.sleep(NEVER_S)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def block(self, body: Nothing) -> None:
        self.entered.release()
        self.release.wait(NEVER_S)

    def block_with_query(self, seconds: float = NEVER_S) -> None:
        self.release.wait(seconds)

    def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        self.release.wait(NEVER_S)
        return BaseVerifyResponse(**body.model_dump(), reward=1.0)


@pytest.fixture
def slow_server() -> Any:
    """A server whose tools do not answer by themselves; its threads are let go at the end."""
    release = threading.Event()
    config = BaseResourcesServerConfig(
        host="", port=0, entrypoint="", name="slow", tool_timeout_s=0.3, verify_timeout_s=0.3
    )
    yield SlowServer(
        config=config,
        server_client=MagicMock(spec=ServerClient),
        cancelled=threading.Event(),
        release=release,
        entered=threading.Semaphore(0),
    )
    release.set()


@pytest.mark.parametrize(
    ("path", "kind", "setting"),
    [
        ("/wait", "tool_timeout", "slow.tool_timeout_s"),
        ("/block", "tool_timeout", "slow.tool_timeout_s"),
        ("/block_with_query", "tool_timeout", "slow.tool_timeout_s"),
        ("/verify", "verifier_timeout", "slow.verify_timeout_s"),
    ],
)
async def test_a_handler_ends_at_its_deadline_and_the_error_names_the_setting(
    slow_server: SlowServer,
    serve_app: Callable[[FastAPI], int],
    client_for: Callable[..., ServerClient],
    path: str,
    kind: str,
    setting: str,
) -> None:
    client = client_for(slow=serve_app(slow_server.setup_webserver()))
    answer = await client.post("slow", path, json=VERIFY_REQUEST)
    assert answer.status == 504
    with pytest.raises(RolloutError) as caught:
        answer.raise_for_status()
    assert caught.value.failure.kind == kind
    assert setting in caught.value.failure.reason


class SlowAgent(SimpleResponsesAPIAgent):
    config: BaseResponsesAPIAgentConfig

    async def responses(self, body: Nothing) -> Any:  # type: ignore[override]
        await asyncio.sleep(60)

    async def run(self, body: Nothing) -> Any:  # type: ignore[override]
        await asyncio.sleep(60)


def test_a_run_ends_at_the_agents_own_bound() -> None:
    config = BaseResponsesAPIAgentConfig(host="", port=0, entrypoint="", name="a", run_timeout_s=0.1)
    app = SlowAgent(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver()
    error = TestClient(app).post("/run", json={}).json()["error"]
    assert error["kind"] == "agent_timeout"
    assert "a.run_timeout_s" in error["reason"]


async def entered(slow_server: SlowServer) -> None:
    """Wait until a call is inside its handler."""
    assert await asyncio.to_thread(slow_server.entered.acquire, timeout=HANGS_AFTER_S)


async def test_a_server_answers_while_plain_handlers_block(
    slow_server: SlowServer, serve_app: Callable[[FastAPI], int]
) -> None:
    slow_server.config.tool_timeout_s = NEVER_S
    address = f"http://127.0.0.1:{serve_app(slow_server.setup_webserver())}"
    async with httpx.AsyncClient(base_url=address, timeout=HANGS_AFTER_S) as client:
        blocked = [asyncio.create_task(client.post("/block", json={})) for _ in range(45)]
        await entered(slow_server)
        for path in ("/health", "/tools"):
            assert (await client.get(path)).status_code == 200
        assert not any(call.done() for call in blocked)
        slow_server.release.set()
        assert {answer.status_code for answer in await asyncio.gather(*blocked)} == {200}


@pytest.mark.parametrize("goes_after_s", [0.7, 0.0], ids=["while-the-server-watches", "before-it-watches"])
async def test_a_handler_is_cancelled_when_its_caller_has_gone(
    goes_after_s: float,
    slow_server: SlowServer,
    serve_app: Callable[[FastAPI], int],
    client_for: Callable[..., ServerClient],
) -> None:
    slow_server.config.tool_timeout_s = NEVER_S
    client = client_for(slow=serve_app(slow_server.setup_webserver()))
    call = asyncio.create_task(client.post("slow", "/wait", json={}))
    await entered(slow_server)
    await asyncio.sleep(goes_after_s)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(slow_server.cancelled.wait, HANGS_AFTER_S)


def test_a_caller_that_leaves_in_the_middle_of_its_body_is_not_logged_as_an_error(
    slow_server: SlowServer, serve_app: Callable[[FastAPI], int], caplog: pytest.LogCaptureFixture
) -> None:
    port = serve_app(slow_server.setup_webserver())
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        time.sleep(0.1)
    time.sleep(0.2)
    assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    assert caplog.records == []
