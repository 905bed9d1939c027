"""Running apps in this process, as the child of a launcher or alone."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp

from nemo_gym import event_loop
from nemo_gym.servers.descriptors import raise_descriptor_limit
from nemo_gym.servers.listeners import BACKLOG, bind, inherited_listeners

STATUS_FD_ENV = "NEMO_GYM_STATUS_FD"
GRACEFUL_STOP_S = 2
KEEP_ALIVE_S = 75  # longer than the client keeps a connection: it must never pick one that is being closed here

Seat = tuple[ASGIApp, Sequence[socket.socket]]
"""An app and the sockets it answers on."""


def serve(app: ASGIApp, *, host: str | None, port: int | None) -> None:
    """Serve one app until SIGTERM or SIGINT, on the launcher's sockets, else on `host` and `port`, which it prints."""
    report_phase("binding")
    listeners = [listener for group in inherited_listeners().values() for listener in group]
    if not listeners:
        listeners = [bind(host or "127.0.0.1", port or 0)]
        bound_host, bound_port = listeners[0].getsockname()[:2]
        os.write(1, f"serving on http://{bound_host}:{bound_port}\n".encode())
    serve_all([(app, listeners)])


def serve_all(seats: Sequence[Seat]) -> None:
    """Serve several apps on one event loop until SIGTERM or SIGINT; a second signal ends it at once."""
    raise_descriptor_limit()
    _tune_garbage_collection()
    event_loop.run(_serve_all(seats))


async def _serve_all(seats: Sequence[Seat]) -> None:
    report_phase("starting")
    servers = [HostedServer(uvicorn_config(app)) for app, _ in seats]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, servers)
    tasks = [
        asyncio.create_task(server.serve(sockets=list(listeners)))
        for server, (_, listeners) in zip(servers, seats, strict=True)
    ]
    ready = asyncio.gather(*(server.is_up.wait() for server in servers))
    waits: list[asyncio.Future[Any]] = [ready, *tasks]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if ready.done():
        report_phase("ready")
    ready.cancel()
    await asyncio.gather(*tasks)


def _tune_garbage_collection() -> None:
    # What is loaded by now stays: no need to look through it again and again. Bodies are trees without cycles, which
    # reference counting frees; looking for cycles after every 700 objects would cost a tenth of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _stop(servers: Sequence[uvicorn.Server]) -> None:
    for server in servers:
        server.force_exit = server.should_exit
        server.should_exit = True


class HostedServer(uvicorn.Server):
    """A server whose signals are somebody else's affair. `is_up` is set when it accepts connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, listen, and say so."""
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def uvicorn_config(app: ASGIApp, lifespan: Literal["auto", "on", "off"] = "on") -> uvicorn.Config:
    """Return the settings all our servers run with."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws="none",
        lifespan=lifespan,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_STOP_S,
    )


def report_phase(phase: str) -> None:
    """Tell the launcher, if there is one, how far this server's start has come."""
    fd = os.environ.get(STATUS_FD_ENV)
    if fd is not None:
        os.write(int(fd), f"{phase}\n".encode())
