"""Heavy work of verifiers: functions in a few processes of their own, which are ended when they take too long.

For code that may compute for hours, or eat all memory, at the word of a policy: symbolic mathematics, regular
expressions of a task. It isn't a sandbox; code that a policy wrote belongs into `nemo_gym.sandbox`.
"""

import asyncio
import inspect
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nemo_gym.wire.failure import rollout_error

_SCRIPT = Path(__file__).with_name("heavy_worker.py")
_STARTS_WITHIN_S = 120.0  # with the imports of the first job


class HeavyWorkConfig(BaseModel):
    """Bounds of heavy work."""

    model_config = ConfigDict(extra="forbid")

    max_processes: int = Field(
        default=min(8, os.cpu_count() or 1), ge=1, description="Functions at a time, each in a process of its own."
    )
    max_waiting: int = Field(default=4096, ge=1, description="Calls that wait for a process; more are refused.")
    cpu_limit_s: float = Field(
        default=10.0,
        gt=0,
        description="CPU time one call may take, in seconds, rounded up: more is the answer's fault.",
    )
    wall_limit_s: float = Field(
        default=120.0, gt=0, description="Longest one call may take on the clock, in seconds: more is a failure."
    )
    memory_limit_bytes: int = Field(default=4 << 30, ge=1 << 27, description="Address space of one process.")


class WorkError(Exception):
    """The function raised; the text names the error."""


class WorkLimitExceeded(WorkError):
    """The function took more CPU time or memory than it may, or crashed its process."""


@dataclass(eq=False)
class _Job:
    request: str
    future: "Future[Any]" = field(default_factory=Future)
    unwanted: bool = False


class HeavyWork:
    """Runs functions elsewhere. Whoever makes one closes it; no process starts before the first call.

    Today that is a pool of processes of this machine. Functions, arguments and results are such that they could as
    well be sent to another.
    """

    def __init__(self, config: HeavyWorkConfig | None = None) -> None:
        self.config = config or HeavyWorkConfig()
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._closed = False
        weakref.finalize(self, _stop, self._waiting, self._workers)  # where nobody closes it, as in a unit test

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return `function(*arguments)`; when cancelled, the work ends too.

        Args:
            function: At the top level of a module. What it prints goes nowhere.
            arguments: JSON values, as is what it returns: a tuple arrives as a list.

        Raises:
            WorkLimitExceeded: It took more CPU time or memory than it may.
            WorkError: It raised.
            RolloutError: `verifier_timeout`: it neither computed nor returned within `wall_limit_s`. `verifier_error`:
                too many calls wait, or this server stops.
        """
        job = _Job(_request(function, arguments, self.config.cpu_limit_s))
        self._enqueue(job)
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            job.unwanted = True
            for worker in self._workers:
                worker.end(job)
            raise

    async def close(self) -> None:
        """End all work, also what is at it; calls that wait are refused."""
        self._closed = True
        _stop(self._waiting, self._workers)
        for worker in self._workers:
            await asyncio.to_thread(worker.thread.join)

    def _enqueue(self, job: _Job) -> None:
        if self._closed:
            raise rollout_error("verifier_error", "heavy work was asked for while the server stops")
        if self._waiting.qsize() >= self.config.max_waiting:
            reason = f"{self.config.max_waiting} calls wait for heavy work; raise max_waiting or max_processes"
            raise rollout_error("verifier_error", reason)
        self._waiting.put(job)
        if len(self._workers) < self.config.max_processes:
            self._workers.append(_Worker(self._waiting, self.config))


def _stop(waiting: "queue.SimpleQueue[_Job | None]", workers: "list[_Worker]") -> None:
    """Refuse what waits, and end what runs."""
    with suppress(queue.Empty):
        while True:
            job = waiting.get_nowait()
            if job is not None:
                _fail(job, rollout_error("verifier_error", "the server stops"))
    for worker in workers:
        waiting.put(None)
        worker.end()


class _Worker:
    """One process, replaced when it ends, and the thread that waits for it."""

    def __init__(self, waiting: "queue.SimpleQueue[_Job | None]", config: HeavyWorkConfig) -> None:
        self._waiting, self._config = waiting, config
        self._process: subprocess.Popen[str] | None = None
        self._job: _Job | None = None
        self._ending = False
        self._lock = threading.Lock()
        self.thread = threading.Thread(target=self._work, name="heavy_work", daemon=True)
        self.thread.start()

    def end(self, job: _Job | None = None) -> None:
        """Kill the process; where a job is named, only if it is at that one."""
        with self._lock:
            self._ending |= job is None
            if self._process is not None and (job is None or self._job is job):
                self._process.kill()

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            if job.future.set_running_or_notify_cancel():
                self._answer(job)
        self._discard()

    def _answer(self, job: _Job) -> None:
        timed_out = threading.Event()
        try:
            process, limit_s = self._started(job)
        except OSError as error:
            self._discard()
            return _fail(job, rollout_error("verifier_error", f"no process for heavy work: {error}"))

        def end() -> None:
            timed_out.set()
            self.end(job)

        timer = threading.Timer(limit_s, end)
        timer.daemon = True
        timer.start()
        line = _exchange(process, job.request)
        timer.cancel()
        with self._lock:
            self._job = None
        if line:
            return _finish(job, json.loads(line))
        status = self._discard()
        return _fail(job, _ended_early(status, timed_out.is_set(), self._config))

    def _started(self, job: _Job) -> "tuple[subprocess.Popen[str], float]":
        """Return the process, which is a new one where there is none, and how long it may take."""
        limit_s = self._config.wall_limit_s
        process = self._process
        if process is None or process.poll() is not None:
            self._discard()
            process, limit_s = _start(self._config), limit_s + _STARTS_WITHIN_S
        with self._lock:
            self._process, self._job = process, job
            if self._ending or job.unwanted:
                process.kill()
        return process, limit_s

    def _discard(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.kill()
        status = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        return status


def _request(function: Callable[..., Any], arguments: tuple[Any, ...], cpu_limit_s: float) -> str:
    if "." in function.__qualname__:
        raise TypeError(f"heavy work must be a function at the top level of its module: {function.__qualname__}")
    file = inspect.getfile(function)
    where = {"module": function.__module__, "file": file, "name": function.__qualname__}
    if function.__module__ == "__main__":  # a server that was started as a script
        where["module"] = Path(file).stem
    return json.dumps({**where, "arguments": arguments, "cpu_limit_s": cpu_limit_s})


def _start(config: HeavyWorkConfig) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-P", str(_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        # The order of sets decides what symbolic mathematics tries first: the same answer, the same way.
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    _send(process, json.dumps({"path": sys.path, "memory_limit_bytes": config.memory_limit_bytes}))
    return process


def _send(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _exchange(process: "subprocess.Popen[str]", line: str) -> str:
    """Return the answer to a line; "" when the process ended before it had one."""
    try:
        _send(process, line)
        assert process.stdout is not None
        answer = process.stdout.readline()
    except OSError:
        return ""
    return answer if answer.endswith("\n") else ""


def _finish(job: _Job, result: dict[str, Any]) -> None:
    if "value" in result:
        job.future.set_result(result["value"])
    elif "limit" in result:
        _fail(job, WorkLimitExceeded(f"more {result['limit']} than it may"))
    else:
        _fail(job, WorkError(result["error"]))


def _fail(job: _Job, error: Exception) -> None:
    if not job.future.cancelled():
        job.future.set_exception(error)


def _ended_early(status: int, timed_out: bool, config: HeavyWorkConfig) -> Exception:
    if timed_out:
        reason = f"heavy work wasn't done within {config.wall_limit_s:g} s (setting wall_limit_s)"
        return rollout_error("verifier_timeout", reason)
    if status == -signal.SIGXCPU:
        return WorkLimitExceeded(f"more than {config.cpu_limit_s:g} s of CPU time")
    if status == -signal.SIGKILL:  # ours when the server stops; or the system's, out of memory
        return rollout_error("verifier_error", "the process of heavy work was killed")
    return WorkLimitExceeded(f"its process ended with status {status}")
