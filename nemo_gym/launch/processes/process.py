"""One server process: started with its socket, logged, followed on its status pipe, stopped as a group."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nemo_gym.config.env_names import LIFELINE_FD_ENV, LISTEN_FDS_ENV, STATUS_FD_ENV
from nemo_gym.wire.scrubber import KNOWN_SECRETS

TAIL_LINES = 30
_MAX_LINE_BYTES = 16_384


class LogPump:
    """Moves lines from a pipe to a file and to `show`; remembers the last `TAIL_LINES`."""

    def __init__(self, path: Path, show: Callable[[str], None]) -> None:
        self.path = path
        self._show = show
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    async def run(self, stream: asyncio.StreamReader) -> None:
        """Pump until the stream ends. Overlong lines are broken, so that none is lost."""
        rest = b""
        with _log_file(self.path) as file:
            while chunk := await stream.read(65_536):
                *lines, rest = (rest + chunk).split(b"\n")
                if lines:
                    self._take(b"\n".join((*lines, b"")), file)
                if len(rest) > _MAX_LINE_BYTES:
                    self._take(rest, file)
                    rest = b""
            if rest:
                self._take(rest, file)

    def _take(self, output: bytes, file: BinaryIO) -> None:
        # Servers take secrets out of what they log; what is printed past that, or before they know any, is caught here.
        text = output.decode("utf-8", "replace")
        clean = KNOWN_SECRETS.text(text)
        with contextlib.suppress(OSError):  # a full disk must not stop a server whose pipe nobody empties
            file.write(output if clean == text else clean.encode())
        for line in clean.removesuffix("\n").split("\n"):
            self.tail.append(line.rstrip("\r"))
            self._show(line.rstrip("\r"))


def _log_file(path: Path) -> BinaryIO:
    try:
        return path.open("ab", buffering=0)
    except OSError:  # a full disk, or a folder that's gone: a server whose output nobody reads stops
        return open(os.devnull, "wb")


_LAST_OUTPUT_S = 1.0


@dataclass(frozen=True)
class ProcessSpec:
    """How to start one server process.

    Attributes:
        command: What `nemo_gym.launch.processes.child` is given: a script, or `-m` and a module.
        listeners: Bound sockets by the name of the instance that answers on them.
        lifeline_fd: Read end of a pipe that closes when the launcher is gone.
    """

    python: Path
    command: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str]
    listeners: Mapping[str, Sequence[socket.socket]]
    log_path: Path
    lifeline_fd: int


class ServerProcess:
    """A running server process and how far it has come.

    Attributes:
        phase: importing, binding, starting, ready; a server may report others.
        ready: Done when the server says that it is ready.
        ended: Done when the process is gone, its group is killed, and the last of its output is in the log.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        pump: LogPump,
        output_fd: int,
        status_fd: int,
        tell_phase: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.pump = pump
        self.phase = "importing"
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._process = process
        self._tell_phase = tell_phase
        self._listening = [
            asyncio.create_task(self._pump_output(output_fd)),
            asyncio.create_task(self._hear_phases(status_fd)),
        ]
        self.ended: asyncio.Task[None] = asyncio.create_task(self._until_ended())

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """Negative for a signal; None while it runs."""
        return self._process.returncode

    @property
    def is_running(self) -> bool:
        """Tell whether it has not ended yet."""
        return self.exit_status is None

    @property
    def how_it_ended(self) -> str:
        """Return that in words."""
        return end_in_words(self.exit_status)

    @property
    def tail(self) -> Sequence[str]:
        """Its last lines of output."""
        return self.pump.tail

    @classmethod
    async def start(
        cls, spec: ProcessSpec, show: Callable[[str], None], tell_phase: Callable[[str], None] = lambda _: None
    ) -> "ServerProcess":
        """Start the process in a group of its own; it ends when the write end of the lifeline closes."""
        output_read, output_write = os.pipe()
        status_read, status_write = os.pipe()
        try:
            process = await _spawn(spec, output_write, status_write)
        except BaseException:
            os.close(output_read)
            os.close(status_read)
            raise
        finally:
            os.close(output_write)
            os.close(status_write)
        return cls(process, LogPump(spec.log_path, show), output_read, status_read, tell_phase)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and everything it started; nothing when they are gone."""
        if self.is_running:  # afterwards the group was killed, and its number may be somebody else's
            self._kill(number)

    async def _until_ended(self) -> None:
        await self._process.wait()
        self._kill(signal.SIGKILL)  # what the server left behind is of no use, and may hold its output open
        await asyncio.wait(self._listening, timeout=_LAST_OUTPUT_S)
        for task in self._listening:
            task.cancel()

    def _kill(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # some systems refuse where only zombies are
            os.killpg(self.pid, number)

    async def _pump_output(self, fd: int) -> None:
        async with _reading(fd) as reader:
            await self.pump.run(reader)

    async def _hear_phases(self, fd: int) -> None:
        async with _reading(fd) as reader:
            while line := await reader.readline():
                self.phase = line.decode("utf-8", "replace").strip()
                self._tell_phase(self.phase)
                if self.phase == "ready" and not self.ready.done():
                    self.ready.set_result(None)


def end_in_words(exit_status: int | None) -> str:
    """Return "ended with status 1", or "was ended by SIGKILL" for a negative status."""
    if exit_status is None or exit_status >= 0:
        return f"ended with status {exit_status}"
    try:
        return f"was ended by {signal.Signals(-exit_status).name}"
    except ValueError:
        return f"was ended by signal {-exit_status}"


async def _spawn(spec: ProcessSpec, output_fd: int, status_fd: int) -> asyncio.subprocess.Process:
    listen_fds = {name: [listener.fileno() for listener in group] for name, group in spec.listeners.items()}
    descriptors = {STATUS_FD_ENV: status_fd, LIFELINE_FD_ENV: spec.lifeline_fd}
    told = {**{name: str(fd) for name, fd in descriptors.items()}, LISTEN_FDS_ENV: json.dumps(listen_fds)}
    return await asyncio.create_subprocess_exec(
        str(spec.python),
        "-m",
        "nemo_gym.launch.processes.child",
        *spec.command,
        stdin=asyncio.subprocess.DEVNULL,
        # Pipes of our own: with asyncio's, waiting for the process would also wait for its children that print to them.
        stdout=output_fd,
        stderr=output_fd,
        cwd=spec.folder,
        env={**spec.variables, **told},
        pass_fds=(*descriptors.values(), *(fd for group in listen_fds.values() for fd in group)),
        start_new_session=True,
    )


@contextlib.asynccontextmanager
async def _reading(fd: int) -> AsyncIterator[asyncio.StreamReader]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
    )
    try:
        yield reader
    finally:
        transport.close()
