"""One run, seen from the caller: start the supervisor, feed the program, keep a bounded piece of what it says."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nemo_gym.sandbox import bubblewrap, entrypoint
from nemo_gym.sandbox.allocation import Scratch
from nemo_gym.sandbox.entrypoint import EntrypointSpec
from nemo_gym.sandbox.filesystem import FilesystemView, base_python
from nemo_gym.sandbox.interface import SandboxError, SandboxLevel, SandboxLimits, SandboxResult
from nemo_gym.sandbox.seccomp import filter_program
from nemo_gym.sandbox.supervisor.main import STATUS_FD, SupervisorReport, SupervisorSpec

# How long the supervisor may need beyond the program's own time before it is taken for stuck.
GRACE_S = 10.0
_PIECE_BYTES = 65_536
_SUPERVISOR = (
    "import sys; sys.path.append(sys.argv[1]); from supervisor.main import main; main(int(sys.argv[2]))",
    os.path.dirname(__file__),
)


@dataclass(frozen=True)
class Run:
    """One run of a program: what, where, as whom (None: as this process's user), within which bounds."""

    command: Sequence[str]
    level: SandboxLevel
    view: FilesystemView
    limits: SandboxLimits
    timeout_s: float
    scratch: Scratch
    user: int | None
    cgroup: Path | None

    def supervisor_spec(self) -> SupervisorSpec:
        """Return what the supervisor is told."""
        confined = self.level == "namespaces"
        return SupervisorSpec(
            argv=self._confined_argv() if confined else self._plain_argv(),
            env=program_environment(bubblewrap.SCRATCH if confined else str(self.scratch.work)),
            folder="/" if confined else str(self.scratch.work),
            owner=None if confined else self.user,
            scratch=str(self.scratch.root),
            cgroup=None if self.cgroup is None else str(self.cgroup),
            timeout_s=self.timeout_s,
            memory_bytes=self.limits.memory_bytes,
            processes=self.limits.processes + (bubblewrap.OWN_PROCESSES if confined else 0),
        )

    def _confined_argv(self) -> list[str]:
        argv = bubblewrap.bubblewrap_argv(self.view, self.limits, self.scratch.inputs)
        # In a user namespace bwrap itself is one of the processes that are counted.
        return [*argv, self._entrypoint_spec(bubblewrap.INPUTS, self.limits.processes + (self.user is None))]

    def _plain_argv(self) -> list[str]:
        spec = self._entrypoint_spec(str(self.scratch.inputs), self.limits.processes)
        return [base_python(), "-I", "-S", entrypoint.__file__, spec]

    def _entrypoint_spec(self, inputs: str, processes: int) -> str:
        spec = EntrypointSpec(
            command=list(self.command),
            inputs=inputs,
            rlimits=_rlimits(self.limits, processes),
            user=self.user,
            adds_own_tasks=self.level == "rlimits" and self.user is None,
            seccomp=filter_program().hex(),
            status_fd=STATUS_FD,
        )
        return json.dumps(spec._asdict())


def program_environment(folder: str) -> dict[str, str]:
    """Return all that a program finds in its environment: nothing of ours."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        # Each arena of malloc and each thread of a numeric library reserves address space, which is limited.
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _rlimits(limits: SandboxLimits, processes: int) -> dict[str, list[int]]:
    both = {
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_NPROC": processes,
        "RLIMIT_CORE": 0,
    }
    # At the soft limit a signal names the reason; the hard one ends a program that ignores it.
    return {name: [value, value] for name, value in both.items()} | {"RLIMIT_CPU": [limits.cpu_s, limits.cpu_s + 1]}


class SupervisedRun:
    """A running supervisor; `result` waits for its end, `end` makes sure of it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._too_much_output = False

    async def start(self) -> None:
        """Start the supervisor, which then waits for its spec; once this returned, `end` must follow."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._report, self._control = await asyncio.open_connection(sock=ours)
            try:
                self._process = await self._supervisor(theirs.fileno())
            except BaseException:
                self._control.close()
                raise

    async def _supervisor(self, control_fd: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(base_python(), "-I", "-S", "-c", *_SUPERVISOR, str(control_fd)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=[control_fd],
            env=program_environment("/"),
            cwd="/",
            # A session of its own: Ctrl-C at the terminal must not end it before it has cleaned up.
            start_new_session=True,
        )

    async def result(self, stdin: bytes) -> SandboxResult:
        """Wait for the program's end.

        Raises:
            SandboxError: The program was not run, or its supervisor did not answer.
        """
        self._control.write(json.dumps(self._run.supervisor_spec()._asdict()).encode() + b"\n")
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        try:
            async with asyncio.timeout(self._run.timeout_s + GRACE_S):
                stdout, stderr, report, _ = await asyncio.gather(
                    self._kept(self._process.stdout),
                    self._kept(self._process.stderr),
                    self._report.read(),
                    self._feed(stdin),
                )
        except TimeoutError:
            raise SandboxError(f"the sandbox did not end within {GRACE_S:g} s after the program's time") from None
        made = SupervisorReport(**json.loads(report)) if report else SupervisorReport(error="its supervisor died")
        return self._result(made, stdout, stderr)

    async def end(self) -> None:
        """End what still runs; returns when the supervisor is gone, after `GRACE_S` at the latest."""
        self._stop()
        try:
            async with asyncio.timeout(GRACE_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        finally:
            self._control.close()

    def _stop(self) -> None:
        if self._control.can_write_eof() and not self._control.is_closing():
            with contextlib.suppress(OSError):  # it is gone already
                self._control.write_eof()

    async def _kept(self, stream: asyncio.StreamReader) -> bytes:
        kept = bytearray()
        while piece := await stream.read(_PIECE_BYTES):
            room = self._run.limits.output_bytes - len(kept)
            kept += piece[:room]
            if len(piece) > room:
                self._too_much_output = True
                self._stop()
        return bytes(kept)

    async def _feed(self, stdin: bytes) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError):  # a program need not read what it is given
            pipe.write(stdin)
            await pipe.drain()
        pipe.close()

    def _result(self, report: SupervisorReport, stdout: bytes, stderr: bytes) -> SandboxResult:
        if report.error is not None:
            said = stderr[-500:].decode(errors="replace").strip()
            raise SandboxError(f"the program was not run: {report.error}" + (f"\n{said}" if said else ""))
        if self._too_much_output or report.limit_hit == "stopped":  # it is stopped for nothing else before its end
            return SandboxResult(None, stdout, stderr, self._run.level, "output")
        return SandboxResult(report.exit_status, stdout, stderr, self._run.level, report.limit_hit)
