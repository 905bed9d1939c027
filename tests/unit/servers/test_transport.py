"""One call over a real socket: what is retried, what is not, and which kind of failure each error becomes."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import aiohttp
import pytest
from pydantic import BaseModel

from nemo_gym.servers.http.connections import get_global_aiohttp_client
from nemo_gym.servers.http.response import HttpResponse
from nemo_gym.servers.http.retry import RetryLimit, TransportLimits
from nemo_gym.servers.http.transport import Deadline, request
from nemo_gym.wire.failure import Failure, RolloutError
from tests.bounds import HANGS_AFTER_S, NEVER_S
from tests.free_port import free_port

QUICK = TransportLimits(
    RetryLimit("cannot_connect", 2, 5.0), RetryLimit("connection_lost", 2, 5.0), RetryLimit("local", None, 0.3), 1_000
)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[None] | None]


class Peer:
    """A raw HTTP peer: gives each request to `serve`, then closes the connection."""

    def __init__(self, serve: Callable[[int, asyncio.StreamWriter], Any]) -> None:
        self._serve = serve
        self.requests: list[bytes] = []
        self.url = ""

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator["Peer"]:
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        try:
            yield self
        finally:
            server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line[16:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0)
        self.requests.append(head + await reader.readexactly(length))
        result = self._serve(len(self.requests), writer)
        if asyncio.iscoroutine(result):
            await result
        writer.close()


async def failure_of_call(call: Awaitable[HttpResponse]) -> Failure:
    with pytest.raises(RolloutError) as caught:
        await call
    return caught.value.failure


async def test_a_refused_connection_is_retried_within_its_bound_and_names_it() -> None:
    failure = await failure_of_call(request("POST", f"http://127.0.0.1:{free_port()}/x", server="quiz", limits=QUICK))
    assert (failure.kind, failure.delivery) == ("transport_unreachable", "not_sent")
    assert "quiz at http://127.0.0.1" in failure.reason
    assert "2 attempts within 5 s" in failure.reason


async def test_a_server_that_comes_up_meanwhile_is_reached() -> None:
    port = free_port()
    limits = TransportLimits(cannot_connect=RetryLimit("cannot_connect", 9, HANGS_AFTER_S))
    call = asyncio.create_task(request("POST", f"http://127.0.0.1:{port}/x", limits=limits))
    await asyncio.sleep(0.05)
    peer = Peer(lambda _, writer: writer.write(OK))
    server = await asyncio.start_server(peer._handle, "127.0.0.1", port)
    async with server:
        assert (await call).status == 200


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"", id="closed-without-an-answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", id="half-a-body"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal", id="half-a-chunk"),
        pytest.param(b"\x00\x01 what\r\n\r\n", id="no-http"),
    ],
)
@pytest.mark.parametrize(("replay_safe", "attempts"), [(False, 1), (True, 2)])
async def test_a_request_on_a_lost_connection_is_replayed_only_where_that_is_safe(
    broken: bytes, replay_safe: bool, attempts: int
) -> None:
    async with Peer(lambda _, writer: writer.write(broken))() as peer:
        failure = await failure_of_call(request("POST", peer.url, json={}, replay_safe=replay_safe, limits=QUICK))
    assert (failure.kind, failure.delivery) == ("transport_dropped", "possibly_delivered")
    assert len(peer.requests) == attempts


async def test_a_replay_sends_the_same_bytes_and_its_answer_counts() -> None:
    async with Peer(lambda number, writer: writer.write(OK if number == 2 else b""))() as peer:
        answer = await request("POST", peer.url, json={"a": 1}, replay_safe=True, limits=QUICK)
    assert await answer.json() == {}
    assert peer.requests[0] == peer.requests[1]


async def test_an_error_status_is_an_answer_and_not_retried() -> None:
    async with Peer(lambda _, writer: writer.write(OK.replace(b"200 OK", b"503 No")))() as peer:
        answer = await request("POST", peer.url, replay_safe=True, limits=QUICK)
    assert (answer.status, answer.ok, len(peer.requests)) == (503, False, 1)


async def test_a_silent_peer_ends_the_call_at_its_deadline_and_the_setting_is_named() -> None:
    async with Peer(lambda _, writer: asyncio.sleep(NEVER_S))() as peer:
        deadline = Deadline(0.1, "setting quiz.verify_timeout_s", "verifier_timeout")
        failure = await failure_of_call(request("POST", peer.url, server="quiz", deadline=deadline))
    assert failure.kind == "verifier_timeout"
    assert "within 0.1 s (setting quiz.verify_timeout_s)" in failure.reason


async def test_the_deadline_bounds_retries_too() -> None:
    limits = TransportLimits(cannot_connect=RetryLimit("cannot_connect", 1000, 1000.0))
    url = f"http://127.0.0.1:{free_port()}/x"
    failure = await failure_of_call(request("POST", url, deadline=Deadline(0.2, "the test"), limits=limits))
    assert failure.kind == "transport_timeout"


async def test_a_timeout_of_aiohttp_is_a_timeout_and_not_replayed() -> None:
    async with Peer(lambda _, writer: asyncio.sleep(NEVER_S))() as peer:
        timeout = aiohttp.ClientTimeout(total=0.1)
        failure = await failure_of_call(request("GET", peer.url, timeout=timeout, limits=QUICK))
    assert (failure.kind, len(peer.requests)) == ("transport_timeout", 1)


async def test_cancellation_passes_through() -> None:
    async with Peer(lambda _, writer: asyncio.sleep(NEVER_S))() as peer:
        call = asyncio.create_task(request("POST", peer.url, deadline=Deadline(NEVER_S, "the test")))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000, id="announced"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n",
            id="in-chunks",
        ),
    ],
)
async def test_an_answer_over_the_bound_is_dropped_and_not_asked_for_again(answer: bytes) -> None:
    async with Peer(lambda _, writer: writer.write(answer))() as peer:
        failure = await failure_of_call(request("POST", peer.url, server="quiz", replay_safe=True, limits=QUICK))
    assert (failure.kind, len(peer.requests)) == ("transport_dropped", 1)
    assert "longer than 1000 bytes" in failure.reason


async def test_running_out_of_descriptors_is_its_own_kind() -> None:
    get_global_aiohttp_client()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with closing(socket.socket()) as highest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), hard))
        try:
            failure = await failure_of_call(request("POST", "http://127.0.0.1:9/x", limits=QUICK))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (failure.kind, failure.delivery) == ("transport_local_resource", "not_sent")
    assert "ulimit -n" in failure.reason


async def test_descriptors_that_come_free_let_the_call_go_on() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = TransportLimits(local_resource=RetryLimit("local", None, HANGS_AFTER_S))
    async with Peer(lambda _, writer: writer.write(OK))() as peer:
        get_global_aiohttp_client()
        with closing(socket.socket()) as highest:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), hard))
            asyncio.get_running_loop().call_later(0.1, resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            assert (await request("POST", peer.url, limits=limits)).status == 200


async def test_a_malformed_url_fails_without_a_retry() -> None:
    failure = await failure_of_call(request("POST", "no url at all"))
    assert (failure.kind, failure.delivery) == ("transport_unreachable", "not_sent")


async def test_an_error_never_contains_the_credentials_of_a_url() -> None:
    url = f"http://user:sk-canary@127.0.0.1:{free_port()}/x?api_key=sk-canary"
    failure = await failure_of_call(request("POST", url, limits=QUICK))
    assert "canary" not in failure.model_dump_json()


class Body(BaseModel):
    city: str
    country: str = "US"


async def test_a_model_is_sent_without_its_unset_fields_and_cookies_as_they_are() -> None:
    async with Peer(lambda _, writer: writer.write(OK))() as peer:
        await request("POST", peer.url, json=Body(city="Rome"), cookies={"a": "b.c", "d": "e"})
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    assert body == b'{"city":"Rome"}'
    assert b"cookie: a=b.c; d=e" in head.lower()


@pytest.mark.filterwarnings("error::DeprecationWarning")
async def test_auth_is_sent_as_a_header_and_not_beside_another_one() -> None:
    me = aiohttp.BasicAuth.decode("Basic bWU6cGFzcw==")
    async with Peer(lambda _, writer: writer.write(OK))() as peer:
        await request("GET", peer.url, auth=me)
        with pytest.raises(ValueError, match="not both"):
            await request("GET", peer.url, auth=me, headers={"Authorization": "Bearer x"})
    assert [b"\r\nauthorization: Basic bWU6cGFzcw==\r\n" in sent for sent in peer.requests] == [True]


async def test_an_answer_has_the_interface_of_an_aiohttp_response() -> None:
    wire = b'HTTP/1.1 200 OK\r\nset-cookie: s=1; Path=/\r\nset-cookie: t=2\r\ncontent-length: 9\r\n\r\n{"a": "1"}'
    async with Peer(lambda _, writer: writer.write(wire.replace(b"length: 9", b"length: 10")))() as peer:
        answer = await request("GET", peer.url)
    assert (answer.ok, await answer.json(), await answer.text()) == (True, {"a": "1"}, '{"a": "1"}')
    assert await answer.read() == await answer.content.read() == answer.body
    assert {name: morsel.value for name, morsel in answer.cookies.items()} == {"s": "1", "t": "2"}
