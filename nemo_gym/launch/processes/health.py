"""Whether a server that runs also answers: one that doesn't is `unresponsive`, until it answers again.

A server that is busy answers late and isn't frozen, so nothing is killed for it unless a setting says so.
"""

import asyncio
import contextlib
import signal
import ssl
import time
from collections.abc import Callable
from typing import Any

from nemo_gym.launch.place import RunningProcess
from nemo_gym.launch.plan import LaunchOptions
from nemo_gym.launch.processes.managed import ManagedProcess
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.refusal import refusal

_PAUSE_S = 2.0  # between two questions
_STEP_S = 1.0
_QUESTION_BOUND_S = 60.0  # then it is asked again, on a new connection


class HealthWatch:
    """Asks one process for `/health`, one question at a time, as long as `run` isn't cancelled.

    Args:
        server: Its state is changed between ready and unresponsive.
        options: After how long it counts as unresponsive, and after how long it is killed.
        say: Gets lines for the console, as in `Launcher`.
    """

    def __init__(self, server: ManagedProcess, options: LaunchOptions, say: Callable[[str, str], None]) -> None:
        self._server = server
        self._bound_s = options.unresponsive_after_s
        self._kill_after_s = options.restart_unresponsive_after_s
        self._say = say
        self._asked: RunningProcess | None = None
        self._silent_s = 0.0

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(min(_PAUSE_S, self._bound_s))
            process = self._server.process
            if process is not None and self._is_up(process):
                await self._ask(process)

    def _is_up(self, process: RunningProcess) -> bool:
        return self._server.state in ("ready", "unresponsive") and not process.ended.done()

    async def _ask(self, process: RunningProcess) -> None:
        if process is not self._asked:
            self._asked, self._silent_s = process, 0.0
        question = asyncio.ensure_future(_failure_to_answer(*self._server.place.health_address, self._server.access))
        waits: list[asyncio.Future[Any]] = [question, process.ended]
        try:
            while self._is_up(process) and not question.done():
                began_at = time.monotonic()
                await asyncio.wait(waits, timeout=self._next_look_s(), return_when=asyncio.FIRST_COMPLETED)
                # No more than a step: where this process itself was stopped meanwhile, the server isn't to blame.
                self._silent_s += min(time.monotonic() - began_at, _STEP_S)
                if self._is_up(process):
                    self._judge(question.result() if question.done() else "")
        finally:
            question.cancel()

    def _next_look_s(self) -> float:
        bounds = (_STEP_S + self._silent_s, self._bound_s, self._kill_after_s or 0.0)
        return min(bound - self._silent_s for bound in bounds if bound > self._silent_s)

    def _judge(self, failure: str | None) -> None:
        name = self._server.name
        if failure is None:
            if self._server.state == "unresponsive":
                silent = "" if self._server.reason else f" after {self._silent_s:.1f} s"
                self._say("", f"{name} answers again{silent}")
            self._server.state, self._server.reason, self._silent_s = "ready", None, 0.0
        elif failure:  # certain at once, and a restart wouldn't help
            if failure != self._server.reason:
                self._say("", f"{name} can't be called: {failure}")
            self._server.state, self._server.reason, self._silent_s = "unresponsive", failure, 0.0
        elif self._kill_after_s is not None and self._silent_s >= self._kill_after_s:
            bound = f"{self._kill_after_s:g} s (restart_unresponsive_after_s)"
            self._say("", f"{name} hasn't answered /health for {bound}: killed")
            self._server.signal(signal.SIGKILL)
        elif self._server.state == "ready" and self._silent_s >= self._bound_s:
            bound = f"{self._bound_s:g} s (unresponsive_after_s)"
            self._say("", f"{name} hasn't answered /health for {bound}: shown as unresponsive")
            self._server.state, self._server.reason = "unresponsive", None


async def _failure_to_answer(host: str, port: int, access: RunAccess) -> str | None:
    """Ask once; return None for any HTTP answer, else why there is none within the bound; "" where nobody knows."""
    writer = None
    try:
        async with asyncio.timeout(_QUESTION_BOUND_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=access.ssl_context)
            name = f"[{host}]" if ":" in host else host
            writer.write(f"GET /health HTTP/1.1\r\nhost: {name}:{port}\r\nconnection: close\r\n\r\n".encode())
            return None if (await reader.readline()).startswith(b"HTTP/") else ""
    except ssl.SSLCertVerificationError as error:
        return await asyncio.to_thread(refusal, error, host, port, access)
    except (OSError, ValueError):  # TimeoutError is an OSError; a line without an end is a ValueError
        return ""
    finally:
        if writer is not None:
            with contextlib.suppress(OSError):
                writer.transport.abort()
