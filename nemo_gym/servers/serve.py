"""Running one app in this process, as the child of a launcher or alone."""

import os
import resource
import socket
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

LISTEN_FD_ENV = "NEMO_GYM_LISTEN_FD"
STATUS_FD_ENV = "NEMO_GYM_STATUS_FD"
BACKLOG = 65_535
GRACEFUL_STOP_S = 2
KEEP_ALIVE_S = 75  # longer than the client keeps a connection: it must never pick one that is being closed here


def serve(app: ASGIApp, *, host: str | None, port: int | None) -> None:
    """Serve `app` until SIGTERM or SIGINT.

    The launcher hands over a socket it has bound (`NEMO_GYM_LISTEN_FD`) and a pipe on which it hears how far the start
    has come (`NEMO_GYM_STATUS_FD`). Without them the server binds `host` and `port` itself and prints where.
    """
    raise_descriptor_limit()
    report_phase("binding")
    fd = os.environ.get(LISTEN_FD_ENV)
    listener = socket.socket(fileno=int(fd)) if fd is not None else bind(host or "127.0.0.1", port or 0)
    config = uvicorn_config(app)
    server = _ReportingServer(config)
    if fd is None:
        bound_host, bound_port = listener.getsockname()[:2]
        os.write(1, f"serving on http://{bound_host}:{bound_port}\n".encode())
    server.run(sockets=[listener])


def uvicorn_config(app: ASGIApp, lifespan: Literal["auto", "on", "off"] = "on") -> uvicorn.Config:
    """Return the settings all our servers run with."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws="none",
        lifespan=lifespan,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_STOP_S,
    )


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises OSError when it can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def report_phase(phase: str) -> None:
    """Tell the launcher, if there is one, how far this server's start has come."""
    fd = os.environ.get(STATUS_FD_ENV)
    if fd is not None:
        os.write(int(fd), f"{phase}\n".encode())


def raise_descriptor_limit() -> None:
    """Allow as many open sockets as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _ReportingServer(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        report_phase("starting")
        await super().startup(sockets)
        report_phase("ready")
