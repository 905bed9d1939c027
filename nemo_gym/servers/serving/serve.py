"""Running apps in this process, as the child of a launcher or alone."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym import event_loop
from nemo_gym.config.addresses import is_loopback
from nemo_gym.config.env_names import STATUS_FD_ENV
from nemo_gym.config.keys import DEFAULT_MAX_REQUEST_BYTES
from nemo_gym.config.schema import BaseRunServerInstanceConfig
from nemo_gym.servers.http.connections import raise_descriptor_limit
from nemo_gym.servers.runs.renewal import RenewableContext
from nemo_gym.servers.runs.tls import server_context_in_environment
from nemo_gym.servers.runs.token import token_in_environment
from nemo_gym.servers.serving.authentication import TokenAuthMiddleware
from nemo_gym.servers.serving.connections.accepting import Acceptor
from nemo_gym.servers.serving.connections.limits import BoundedConfig, BoundedProtocol
from nemo_gym.servers.serving.connections.listeners import BACKLOG, inherited_listeners, listen_alone

GRACEFUL_STOP_S = 2
_TAKES_LEAVE_WITHIN_S = 0.3
KEEP_ALIVE_S = 75  # longer than the client keeps a connection: it must never pick one that is being closed here

FAILED_START = 3  # exit status, as of uvicorn's own command

Lifespan = Literal["auto", "on", "off"]

_log = logging.getLogger("nemo_gym.server")


@dataclass(frozen=True)
class ServedApp:
    """An app, the sockets it answers on, and what it admits.

    Attributes:
        advertised_host: The name others call it by.
        max_request_bytes: The longest body.
    """

    app: ASGIApp
    listeners: Sequence[socket.socket]
    advertised_host: str = ""
    max_request_bytes: int = DEFAULT_MAX_REQUEST_BYTES


def serve(app: ASGIApp, config: BaseRunServerInstanceConfig) -> None:
    """Serve one app until SIGTERM or SIGINT, on the launcher's sockets, else where `config` says, which it prints.

    Raises:
        ConfigError: Without a launcher: it would be open to the network without a token.
    """
    report_phase("binding")
    listeners = [listener for group in inherited_listeners().values() for listener in group] or [listen_alone(config)]
    serve_all([ServedApp(app, listeners, config.host, config.max_request_bytes)])


def serve_all(apps: Sequence[ServedApp]) -> None:
    """Serve several apps on one event loop until SIGTERM or SIGINT; a second signal ends it at once.

    Raises:
        SystemExit: An app's startup failed: status 3. The others are stopped.
    """
    raise_descriptor_limit()
    _tune_garbage_collection()
    if not event_loop.run(_serve_all(apps)):
        raise SystemExit(FAILED_START)


async def _serve_all(apps: Sequence[ServedApp]) -> bool:
    """Return whether every app was started."""
    report_phase("starting")
    token, tls = token_in_environment(), server_context_in_environment()
    servers = [hosted(app, token, tls=tls) for app in apps]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, servers)
    tasks = [
        asyncio.create_task(server.serve(sockets=list(app.listeners)))
        for server, app in zip(servers, apps, strict=True)
    ]
    ready = asyncio.gather(*(server.is_up.wait() for server in servers))
    waits: list[asyncio.Future[Any]] = [ready, *tasks]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if ready.done():
        report_phase("ready")
    ready.cancel()
    is_failed = any(task.done() and not server.started for server, task in zip(servers, tasks, strict=True))
    if is_failed:
        _stop(servers)
    # A cancelled `gather` that nobody looks at is reported as an error when it is collected.
    await asyncio.gather(ready, return_exceptions=True)
    await asyncio.gather(*tasks)
    return not is_failed


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


def hosted(
    served: ServedApp, token: str | None, lifespan: Lifespan = "on", tls: RenewableContext | None = None
) -> "AppServer":
    """Return the server for an app, which asks its callers for the token unless that is None.

    `tls` is with what it proves who it is; None: it speaks plain HTTP.
    """
    is_local = all(is_loopback(listener.getsockname()[0]) for listener in served.listeners)
    app = TokenAuthMiddleware(served.app, token, served.advertised_host if is_local else None)
    config = uvicorn_config(app, lifespan)
    config.max_request_bytes = served.max_request_bytes
    return AppServer(config, tls)


class _KeepsConnections:
    """Logs an exception that was answered already, where uvicorn would also hang up.

    Starlette raises what its handler for `Exception` has answered again, for the log. The caller has the answer, and
    may have sent the next request: that would be lost.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            if not getattr(getattr(send, "__self__", None), "response_complete", False):  # of uvicorn's cycle
                raise
            _log.exception("a request was answered with an error that nobody foresaw")


class AppServer(uvicorn.Server):
    """A server that leaves signals to its caller. `is_up` is set when it accepts connections."""

    def __init__(self, config: BoundedConfig, tls: RenewableContext | None = None) -> None:
        super().__init__(config)
        self._tls = tls
        self.is_up = asyncio.Event()
        self._bounds = config
        self._accepting: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, listen, and say so; end when the app's own startup failed."""
        with contextlib.suppress(SystemExit):  # how newer releases of uvicorn say it: it would end the whole loop here
            await super().startup([])
        if self.started:
            acceptor = Acceptor(self, self._bounds, self._make_protocol, self._tls)
            self._accepting = [asyncio.create_task(acceptor.accept_from(listener)) for listener in sockets or ()]
            self.is_up.set()
        else:
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, let what runs end, and stop the app."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        hanging_up = asyncio.create_task(self._hang_up_on_the_silent())
        await super().shutdown(sockets)
        await hanging_up

    async def _hang_up_on_the_silent(self) -> None:
        await asyncio.sleep(_TAKES_LEAVE_WITHIN_S)
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedProtocol):
                connection.hang_up_if_closing()

    def _make_protocol(self) -> asyncio.Protocol:
        return BoundedProtocol(config=self._bounds, server_state=self.server_state, app_state=self.lifespan.state)

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        if counter % 10 == 0:
            self._bounds.watch(self.server_state.connections)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def uvicorn_config(app: ASGIApp, lifespan: Lifespan = "on") -> BoundedConfig:
    """Return the settings all our servers run with."""
    return BoundedConfig(
        _KeepsConnections(app),
        interface="asgi3",
        http=BoundedProtocol,
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
