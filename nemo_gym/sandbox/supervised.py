"""One run, seen from the caller: start the supervisor, feed the program, keep a bounded piece of what it says."""

import asyncio
import contextlib
import json
import socket
from typing import Any

from nemo_gym.sandbox.orders import Run, environment, supervisor_argv
from nemo_gym.sandbox.result import SandboxError, SandboxResult

# How long the supervisor may need beyond the program's own time before it is taken for stuck.
GRACE_S = 10.0
_PIECE_BYTES = 65_536


class Supervised:
    """A running supervisor; `result` waits for its end, `end` makes sure of it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._too_much_output = False

    async def start(self) -> None:
        """Start the supervisor, which then waits for its orders; once this returned, `end` must follow."""
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
            *supervisor_argv(control_fd),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=[control_fd],
            env=environment("/"),
            cwd="/",
            # A session of its own: Ctrl-C at the terminal must not end it before it has cleaned up.
            start_new_session=True,
        )

    async def result(self, stdin: bytes) -> SandboxResult:
        """Wait for the program's end.

        Raises:
            SandboxError: The program was not run, or its supervisor did not answer.
        """
        self._control.write(json.dumps(self._run.supervisor_orders()).encode() + b"\n")
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
        return self._result(json.loads(report) if report else {"error": "its supervisor died"}, stdout, stderr)

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

    def _result(self, report: dict[str, Any], stdout: bytes, stderr: bytes) -> SandboxResult:
        if "error" in report:
            said = stderr[-500:].decode(errors="replace").strip()
            raise SandboxError(f"the program was not run: {report['error']}" + (f"\n{said}" if said else ""))
        if self._too_much_output:
            return SandboxResult(None, stdout, stderr, self._run.level, "output")
        return SandboxResult(report["exit_status"], stdout, stderr, self._run.level, report["limit_hit"])
