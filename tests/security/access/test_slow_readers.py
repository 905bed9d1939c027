"""Slow readers, over real sockets: an answer waits for its reader for as long as it takes, with TLS as without.

The tests advance the clocks of the server and, where it can be done, of the event loop.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop
from starlette.types import Receive, Scope, Send

from nemo_gym.servers.runs.tls import TlsFiles, client_context
from nemo_gym.servers.serving.connections.limits import BoundedConfig, BoundedProtocol
from nemo_gym.servers.serving.connections.listeners import bind
from nemo_gym.servers.serving.serve import AppServer, uvicorn_config
from tests.bounds import HANGS_AFTER_S
from tests.certificates import make_certificates

BODY_BYTES = 8_000_000
HOUR_S = 3600


class AdjustableLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


@dataclass
class Served:
    """A server that closes each connection after its answer, and how to call it."""

    server: AppServer
    config: BoundedConfig
    port: int
    context: ssl.SSLContext | None

    async def ask(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection on which the answer was written, as far as it fits, and isn't read."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        name = None if self.context is None else "127.0.0.1"
        opened = await asyncio.open_connection(sock=connection, ssl=self.context, server_hostname=name, limit=2**14)
        opened[1].write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        while not any(accepted.transport.is_closing() for accepted in self.accepted):
            await asyncio.sleep(0.01)
        return opened

    @property
    def accepted(self) -> list[BoundedProtocol]:
        """The connections that are open at the server's end."""
        return [one for one in self.server.server_state.connections if isinstance(one, BoundedProtocol)]

    async def let_an_hour_pass(self) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(loop, AdjustableLoop):
            loop.ahead_s += HOUR_S
        for _ in range(3):
            self.config.watch(self.server.server_state.connections)
            await asyncio.sleep(0)


@asynccontextmanager
async def served(body_bytes: int, folder: Path | None) -> AsyncIterator[Served]:
    """Serve an answer of this length; with certificates in a folder, over TLS."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % body_bytes)]})
        await send({"type": "http.response.body", "body": b"x" * body_bytes})

    files = None if folder is None else make_certificates(folder, "127.0.0.1")
    tls = None if files is None else TlsFiles(*(str(files[name]) for name in ("cert", "key", "ca")))
    config, listener = uvicorn_config(app, "off"), bind("127.0.0.1", 0)
    server = AppServer(config, None if tls is None else tls.server_context())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.is_up.wait()
    context = None if tls is None else client_context(tls.ca)
    try:
        yield Served(server, config, listener.getsockname()[1], context)
    finally:
        server.should_exit = True
        await serving
        listener.close()


async def read_with_an_hour_between_pieces(folder: Path | None) -> int:
    """Return how many bytes of an answer arrive, its head not counted."""
    async with asyncio.timeout(HOUR_S * 100_000), served(BODY_BYTES, folder) as server:
        reader, writer = await server.ask()
        size = 0
        with contextlib.closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            await server.let_an_hour_pass()
            while piece := await reader.read(2**14):
                size += len(piece)
                await server.let_an_hour_pass()
        return size


async def close_alone(folder: Path) -> bytes:
    """Read an answer to its end without closing the connection; return what comes when the server ends it."""
    async with asyncio.timeout(HANGS_AFTER_S), served(2, folder) as server:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=HANGS_AFTER_S)
        assert server.context is not None
        with await asyncio.to_thread(server.context.wrap_socket, connection, server_hostname="127.0.0.1") as shaken:
            shaken.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            while await asyncio.to_thread(shaken.recv, 1000):
                pass
            with socket.socket(fileno=shaken.detach()) as bare:
                bare.settimeout(HANGS_AFTER_S)
                receiving = asyncio.create_task(asyncio.to_thread(bare.recv, 1))
                while not receiving.done():
                    await server.let_an_hour_pass()
                    await asyncio.sleep(0.01)
                return receiving.result()


def test_a_caller_that_has_everything_and_does_not_close_is_hung_up_on(tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(close_alone(tmp_path)) == b""


@pytest.mark.parametrize("new_loop", [AdjustableLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_an_answer_is_whole_however_late_it_is_read(
    tmp_path: Path, is_tls: bool, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(read_with_an_hour_between_pieces(tmp_path if is_tls else None)) == BODY_BYTES
