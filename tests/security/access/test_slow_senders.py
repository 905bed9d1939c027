"""Slow senders, over real sockets; the tests advance the clock by which the server counts seconds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from starlette.types import Receive, Scope, Send

from nemo_gym.servers.serving.connections.limits import (
    BODY_STALLS_AFTER_S,
    FIRST_BYTE_WITHIN_S,
    HEADERS_WITHIN_S,
    BoundedConfig,
)
from nemo_gym.servers.serving.connections.listeners import bind
from nemo_gym.servers.serving.serve import AppServer, uvicorn_config
from tests.bounds import HANGS_AFTER_S

LINGERS_S = 3
MARGIN_S = 3  # the server lets a second pass by itself now and then


@dataclass
class Served:
    """A server, and what its app has seen."""

    server: AppServer
    config: BoundedConfig
    port: int
    seen: list[str]

    async def let_pass(self, seconds: int) -> None:
        """Let so many of its seconds pass, and let every task run in between."""
        for _ in range(seconds):
            self.config.watch(self.server.server_state.connections)
            await asyncio.sleep(0)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while not self.server.server_state.connections:
            await asyncio.sleep(0.01)
        return reader, writer


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """An app that reads its body to the end, then answers; `/slow` takes half a second before it reads."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await asyncio.sleep(0.5)
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        seen.append(message["type"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    config = uvicorn_config(app, lifespan="off")
    server, listener = AppServer(config), bind("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.is_up.wait()
    yield Served(server, config, listener.getsockname()[1], seen)
    server.should_exit = server.force_exit = True
    await serving


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes, which it must."""
    async with asyncio.timeout(HANGS_AFTER_S):
        with contextlib.suppress(ConnectionResetError):
            return await reader.read()
    return b""


def ok(answer: bytes) -> bool:
    return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"ok")


async def read_ok(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(HANGS_AFTER_S):
        return ok(await reader.readuntil(b"ok"))


@pytest.mark.parametrize("sent", [b"POST /x HTT", b"POST /x HTTP/1.1\r\nhost: x\r\n", b"\r\n"])
async def test_headers_that_do_not_come_end_the_connection(served: Served, sent: bytes) -> None:
    reader, writer = await served.connect()
    writer.write(sent)
    await asyncio.sleep(0.05)
    await served.let_pass(HEADERS_WITHIN_S - MARGIN_S)
    assert not reader.at_eof()
    assert len(served.server.server_state.connections) == 1
    await served.let_pass(1 + MARGIN_S + LINGERS_S)
    answer = await answer_of(reader)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"within 10 s" in answer
    assert b"transport_timeout" in answer  # nothing was done: whoever was slow may send it again
    assert served.seen == []
    writer.close()


async def test_a_busy_caller_may_connect_long_before_it_sends(served: Served) -> None:
    reader, writer = await served.connect()
    await served.let_pass(FIRST_BYTE_WITHIN_S - MARGIN_S)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert await read_ok(reader)
    writer.close()


async def test_a_connection_that_says_nothing_is_closed_in_the_end(served: Served) -> None:
    reader, writer = await served.connect()
    await served.let_pass(FIRST_BYTE_WITHIN_S + 1 + MARGIN_S)
    assert await answer_of(reader) == b""
    writer.close()


async def test_headers_sent_byte_by_byte_are_timed_from_the_first_byte(served: Served) -> None:
    reader, writer = await served.connect()
    writer.write(b"GET / HTTP/1.1\r\nx: ")
    for _ in range(HEADERS_WITHIN_S + 1):
        writer.write(b"x")
        await asyncio.sleep(0.02)
        await served.let_pass(1)
    assert (await answer_of(reader)).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_single_bytes_between_requests_do_not_keep_a_connection_open(served: Served) -> None:
    reader, writer = await served.connect()
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert await read_ok(reader)
    for _ in range(HEADERS_WITHIN_S + 2):
        writer.write(b"\r\n")
        await asyncio.sleep(0.02)
        await served.let_pass(1)
    await served.let_pass(LINGERS_S)
    assert await answer_of(reader) == b""
    writer.close()


async def test_a_kept_connection_may_be_idle_for_longer_than_headers_may_take(served: Served) -> None:
    reader, writer = await served.connect()
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
        assert await read_ok(reader)
        await served.let_pass(HEADERS_WITHIN_S * 3)
    assert len(served.server.server_state.connections) == 1
    writer.close()


HALF = b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc"


async def test_a_body_that_stalls_ends_the_connection_and_the_app_sees_it(served: Served) -> None:
    reader, writer = await served.connect()
    writer.write(HALF)
    await asyncio.sleep(0.05)
    await served.let_pass(BODY_STALLS_AFTER_S - MARGIN_S)
    writer.write(b"d")  # a little more, and its time begins anew
    await asyncio.sleep(0.05)
    await served.let_pass(BODY_STALLS_AFTER_S - MARGIN_S)
    assert served.seen == []
    await served.let_pass(1 + MARGIN_S + LINGERS_S)
    assert (await answer_of(reader)).startswith(b"HTTP/1.1 408 ")
    assert served.seen == ["http.disconnect"]
    writer.close()


async def test_an_app_that_is_slow_to_read_is_not_held_against_the_sender(served: Served) -> None:
    reader, writer = await served.connect()
    body = b"x" * 1_000_000
    writer.write(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n" + body)
    await asyncio.sleep(0.1)
    await served.let_pass(BODY_STALLS_AFTER_S * 2)
    assert await read_ok(reader)
    writer.close()


async def test_an_answer_may_take_any_time(served: Served) -> None:
    reader, writer = await served.connect()
    writer.write(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
    await asyncio.sleep(0.05)
    await served.let_pass(1_000)
    assert await read_ok(reader)
    writer.close()


@pytest.mark.parametrize("pause_s", [0, 0.02], ids=["in-one-piece", "byte-by-byte"])
async def test_requests_arrive_whole_however_they_are_split(served: Served, pause_s: float) -> None:
    chunked = b"POST /b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    sent = HALF + b"defghij" + chunked + b"GET /c HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    reader, writer = await served.connect()
    step = len(sent) if pause_s == 0 else 29
    for at in range(0, len(sent), step):
        writer.write(sent[at : at + step])
        await asyncio.sleep(pause_s)
    answer = await answer_of(reader)
    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert served.seen == ["http.request"] * 3
    writer.close()


async def test_a_request_too_long_behind_another_never_answers_in_its_place(served: Served) -> None:
    served.config.max_request_bytes = 1_000
    reader, writer = await served.connect()
    writer.write(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\nPOST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\n\r\n")
    assert b"413" not in await answer_of(reader)
    writer.close()
