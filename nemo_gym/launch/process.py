"""One server process: started with its socket, heard on its status pipe, stopped as a group."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nemo_gym.launch.child import PARENT_FD_ENV
from nemo_gym.launch.log_pump import LogPump
from nemo_gym.servers.serve import LISTEN_FD_ENV, STATUS_FD_ENV


@dataclass(frozen=True)
class ProcessSpec:
    """How to start one server: interpreter, script, environment, socket."""

    name: str
    python: Path
    entrypoint: Path
    environment: Mapping[str, str]
    listener: socket.socket
    log_path: Path


class ServerProcess:
    """A running server process and how far it has come: `phase` is installing … ready."""

    def __init__(self, spec: ProcessSpec, process: asyncio.subprocess.Process, pump: LogPump) -> None:
        self.spec = spec
        self.pump = pump
        self.phase = "importing"
        self.ready = asyncio.Event()
        self._process = process
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    @classmethod
    async def start(cls, spec: ProcessSpec, parent_fd: int, show: Callable[[str], None]) -> "ServerProcess":
        """Start the process in a group of its own; it ends when the write end of `parent_fd` closes."""
        status_read, status_write = os.pipe()
        listen_fd = spec.listener.fileno()
        environment = {
            **spec.environment,
            LISTEN_FD_ENV: str(listen_fd),
            STATUS_FD_ENV: str(status_write),
            PARENT_FD_ENV: str(parent_fd),
        }
        try:
            process = await asyncio.create_subprocess_exec(
                str(spec.python),
                "-m",
                "nemo_gym.launch.child",
                str(spec.entrypoint),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=spec.entrypoint.parent,
                env=environment,
                pass_fds=(listen_fd, status_write, parent_fd),
                start_new_session=True,
            )
        except BaseException:
            os.close(status_read)
            raise
        finally:
            os.close(status_write)
        server = cls(spec, process, LogPump(spec.log_path, show))
        assert process.stdout is not None
        server._tasks.append(asyncio.create_task(server.pump.run(process.stdout)))
        server._tasks.append(asyncio.create_task(server._hear_phases(status_read)))
        return server

    async def wait(self) -> int:
        """Wait for the process to end, and for the last of its output."""
        status = await self._process.wait()
        with contextlib.suppress(TimeoutError):  # a grandchild may hold the pipe open
            await asyncio.wait_for(asyncio.gather(*self._tasks), timeout=1.0)
        return status

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def _hear_phases(self, fd: int) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
        )
        try:
            while line := await reader.readline():
                self.phase = line.decode().strip()
                if self.phase == "ready":
                    self.ready.set()
        finally:
            transport.close()
