"""Heavy work on this machine: a few processes, each with a thread that waits for it."""

import asyncio
import queue
import sys
import threading
import weakref
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from nemo_gym.environments.heavy_work.job import Job
from nemo_gym.environments.heavy_work.outcome import refused, stopping
from nemo_gym.environments.heavy_work.process import Reply, WorkProcess
from nemo_gym.environments.heavy_work.settings import HeavyWorkConfig
from nemo_gym.wire.failure import rollout_error


@dataclass(eq=False)
class _Call:
    request: dict[str, Any]
    future: "Future[Reply]" = field(default_factory=Future)
    unwanted: bool = False


_Waiting = queue.SimpleQueue[_Call | None]


class LocalProcesses:
    """A pool that starts a process when a call comes and all others are at work, up to `max_processes`."""

    def __init__(self, config: HeavyWorkConfig) -> None:
        self._config = config
        self._waiting: _Waiting = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._closed = False
        weakref.finalize(self, _stop, self._waiting, self._workers)  # where nobody closes it, as in a unit test

    async def run(self, job: Job) -> Reply:
        """Return what became of a call; when cancelled, the work ends too."""
        call = _Call(job.request(self._config.cpu_limit_s))
        self._enqueue(call)
        try:
            return await asyncio.wrap_future(call.future)
        except asyncio.CancelledError:
            call.unwanted = True
            for worker in self._workers:
                worker.end(call)
            raise

    async def close(self) -> None:
        """End all work, also what is at it; calls that wait are refused."""
        self._closed = True
        _stop(self._waiting, self._workers)
        for worker in self._workers:
            await asyncio.to_thread(worker.thread.join)

    def _enqueue(self, call: _Call) -> None:
        if self._closed:
            raise stopping()
        if self._waiting.qsize() >= self._config.max_waiting:
            raise refused(self._config)
        self._waiting.put(call)
        if len(self._workers) < self._config.max_processes:
            self._workers.append(_Worker(self._waiting, self._config))


def _stop(waiting: _Waiting, workers: "list[_Worker]") -> None:
    """Refuse what waits, and end what runs."""
    with suppress(queue.Empty):
        while True:
            call = waiting.get_nowait()
            if call is not None:
                _fail(call, stopping())
    for worker in workers:
        waiting.put(None)
        worker.end()


class _Worker:
    """One process, replaced when it ends, and the thread that waits for it."""

    def __init__(self, waiting: _Waiting, config: HeavyWorkConfig) -> None:
        self._waiting, self._config = waiting, config
        self._process: WorkProcess | None = None
        self._call: _Call | None = None
        self._ending = False
        self._lock = threading.Lock()
        self.thread = threading.Thread(target=self._work, name="heavy_work", daemon=True)
        self.thread.start()

    def end(self, call: _Call | None = None) -> None:
        """Kill the process; where a call is named, only if it is at that one."""
        with self._lock:
            self._ending |= call is None
            if self._process is not None and (call is None or self._call is call):
                self._process.kill()

    def _work(self) -> None:
        while (call := self._waiting.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                self._answer(call)
        if self._process is not None:
            self._process.end()

    def _answer(self, call: _Call) -> None:
        try:
            process = self._started(call)
        except OSError as error:
            return _fail(call, rollout_error("verifier_error", f"no process for heavy work: {error}"))
        reply = process.answer(call.request, self._config.wall_limit_s)
        with self._lock:
            self._call = None
            if not reply.line:
                self._process = None
        if not call.future.cancelled():
            call.future.set_result(reply)

    def _started(self, call: _Call) -> WorkProcess:
        """Return the process, which is a new one where there is none."""
        process = self._process
        if process is not None and not process.is_alive:
            process.end()
            process = None
        process = process or WorkProcess(sys.path, self._config.memory_limit_bytes)
        with self._lock:
            self._process, self._call = process, call
            if self._ending or call.unwanted:
                process.kill()
        return process


def _fail(call: _Call, error: Exception) -> None:
    if not call.future.cancelled():
        call.future.set_exception(error)
