"""Starting a driver: the seam, and the way that needs nothing but this machine."""

import asyncio
import contextlib
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Protocol

_ENDS_WITHIN_S = 2.0


class StartedDriver(Protocol):
    """A driver that has been started, wherever it is.

    Attributes:
        connection: The collection's end of a stream socket to it; the driver ends when that is closed.
        name: What it is called, e.g. `pid 123`.
        tls: How to check that it is `peer`; None: it is on this machine, or the run speaks plain HTTP.
        peer: Address that its certificate has to name.
        proof: How this end proves to it who it is; None: there is nobody else at this end.
    """

    connection: socket.socket
    name: str
    tls: ssl.SSLContext | None
    peer: str | None
    proof: bytes | None

    async def end(self) -> str:
        """Make sure that it is gone, within a few seconds; return how it ended, in words."""


StartDriver = Callable[[], Awaitable[StartedDriver]]
"""Starts one driver; raises OSError or ConfigError."""


class DriverProcess:
    """A driver that is a process of this machine."""

    tls: ssl.SSLContext | None = None
    peer: str | None = None
    proof: bytes | None = None

    def __init__(self, process: asyncio.subprocess.Process, connection: socket.socket) -> None:
        self.connection = connection
        self.name = f"pid {process.pid}"
        self._process = process

    async def end(self) -> str:
        """Wait until it has ended, and kill it when it doesn't."""
        try:
            status = await asyncio.wait_for(self._process.wait(), _ENDS_WITHIN_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            status = await self._process.wait()
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


async def start_process() -> DriverProcess:
    """Start a driver here. A Ctrl-C at the terminal doesn't reach it: the collection lets it drain."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # files that happen to be in the current folder aren't meant to be imported
                "-m",
                "nemo_gym.rollouts.drivers.driver",
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    return DriverProcess(process, ours)
