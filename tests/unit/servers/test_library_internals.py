"""Names of uvicorn and aiohttp that we use although they aren't public: a release that changes one is seen here.

What the names are for is tested where it is used; here a failure says which name is gone.
"""

import asyncio
import socket
from collections import deque

import aiohttp
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from nemo_gym.servers.http.connections import PacedConnector
from nemo_gym.servers.serving.connections.limits import BoundedProtocol
from nemo_gym.servers.serving.serve import AppServer, ServedApp, hosted


async def _answered(server: AppServer, listener: socket.socket, connector: aiohttp.BaseConnector) -> None:
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.wait_for(server.is_up.wait(), 10)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/path?q=1"
        timeout = aiohttp.ClientTimeout(10)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as client,
            client.post(url, data=b"body") as response,
        ):
            assert response.status == 204
    finally:
        server.should_exit = True
        await asyncio.wait_for(running, 10)


def test_a_connection_of_uvicorn_has_what_the_bounds_look_at() -> None:
    seen: dict[str, object] = {}

    async def app(scope, receive, send) -> None:
        (connection,) = server.server_state.connections
        cycle = connection.cycle
        seen.update(
            protocol=type(connection),
            headers=connection.headers,
            url=connection.url,
            pipeline=connection.pipeline,
            read_paused=connection.flow.read_paused,
            is_own_scope=cycle.scope is connection.scope,
            keep_alive=cycle.keep_alive,
            disconnected=cycle.disconnected,
            response_started=cycle.response_started,
            response_complete=cycle.response_complete,
            waiting_for_100_continue=cycle.waiting_for_100_continue,
            message_event=cycle.message_event,
        )
        await send({"type": "http.response.start", "status": 204, "headers": []})
        seen["response_started_now"] = cycle.response_started
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        nonlocal server
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = hosted(ServedApp(app, [listener]), token=None, lifespan="off")
            await _answered(server, listener, aiohttp.TCPConnector())

    server: AppServer
    asyncio.run(run())
    headers, pipeline, event = seen.pop("headers"), seen.pop("pipeline"), seen.pop("message_event")
    assert isinstance(headers, list)
    assert (b"content-length", b"4") in headers
    assert pipeline == deque()
    assert isinstance(event, asyncio.Event)
    assert seen == {
        "protocol": BoundedProtocol,
        "url": b"/path?q=1",
        "read_paused": False,
        "is_own_scope": True,
        "keep_alive": True,
        "disconnected": False,
        "response_started": False,
        "response_complete": False,
        "waiting_for_100_continue": False,
        "response_started_now": True,
    }


PARSER_CALLS = ["on_message_begin", "on_headers_complete", "on_body", "on_message_complete"]
CONNECTION_CALLS = ["data_received", "connection_lost", "shutdown"]


@pytest.mark.parametrize("name", PARSER_CALLS + CONNECTION_CALLS)
def test_the_protocol_of_uvicorn_has_the_calls_that_ours_adds_to(name: str) -> None:
    assert callable(getattr(HttpToolsProtocol, name, None))


@pytest.mark.parametrize("name", ["startup", "shutdown", "on_tick", "capture_signals"])
def test_the_server_of_uvicorn_has_the_calls_that_ours_replaces(name: str) -> None:
    assert callable(getattr(uvicorn.Server, name, None))


@pytest.mark.parametrize("status", [408, 413, 431])
def test_uvicorn_has_the_status_lines_of_our_refusals(status: int) -> None:
    assert STATUS_LINE[status].startswith(f"HTTP/1.1 {status} ".encode())


def test_aiohttp_opens_every_connection_through_the_call_that_paces_them() -> None:
    class Counting(PacedConnector):
        opened = 0

        async def _create_connection(self, *args, **kwargs):
            type(self).opened += 1
            return await super()._create_connection(*args, **kwargs)

    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            await _answered(hosted(ServedApp(app, [listener]), token=None, lifespan="off"), listener, Counting())

    asyncio.run(run())
    assert Counting.opened == 1
