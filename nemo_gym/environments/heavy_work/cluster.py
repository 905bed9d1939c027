"""Heavy work on a Ray cluster: each call is a task, which runs the same process on its node, in the same bounds."""

import asyncio
import os
import time
from collections import deque
from contextlib import suppress
from typing import Any

from nemo_gym.config.env_names import RAY_ADDRESS_ENV, RAY_NAMESPACE_ENV
from nemo_gym.environments.heavy_work import node
from nemo_gym.environments.heavy_work.job import Job
from nemo_gym.environments.heavy_work.outcome import refused, stopping
from nemo_gym.environments.heavy_work.process import STARTS_WITHIN_S, Reply
from nemo_gym.environments.heavy_work.settings import HeavyWorkConfig
from nemo_gym.environments.heavy_work.shipping import CodeArchive, pack
from nemo_gym.ray_connection import connect
from nemo_gym.wire.failure import RolloutError, rollout_error

_RUNS_AGAIN = 2  # times, where the node is lost that ran a call
_CPUS_KNOWN_FOR_S = 5.0
_TAKEN_WITHIN_S = 300.0
_JOINS_WITHIN_S = 60.0


class RayTasks:
    """Runs calls as tasks of the cluster that this process belongs to, at most as many at a time as it has CPUs."""

    def __init__(self, config: HeavyWorkConfig) -> None:
        self._config = config
        self._ray: Any = None
        self._task: Any = None
        self._codes: dict[tuple[str, str], tuple[CodeArchive, Any]] = {}
        self._looking = asyncio.Lock()
        self._cpus, self._cpus_known_at = 1, -_CPUS_KNOWN_FOR_S
        self._running: set[Any] = set()
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, job: Job) -> Reply:
        """Return what became of a call; when cancelled, the work ends too."""
        await self._take_turn()
        try:
            await self._look_at_cluster()
            return await self._answer(job)
        finally:
            self._taken -= 1
            self._call_next()

    async def close(self) -> None:
        """End all work, also what is at it; calls that wait are refused."""
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(stopping())
        for running in self._running:
            self._ray.cancel(running, force=True)

    async def _take_turn(self) -> None:
        if self._closed:
            raise stopping()
        if self._taken < self._cpus and not self._waiting:
            self._taken += 1
            return
        if len(self._waiting) >= self._config.max_waiting:
            raise refused(self._config)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:  # called in the same moment
                self._taken -= 1
                self._call_next()
            raise

    async def _watch(self) -> None:
        """While calls wait, look for nodes that have come."""
        while self._waiting:
            await asyncio.sleep(_CPUS_KNOWN_FOR_S)
            with suppress(RolloutError):  # whoever calls next is told
                await self._look_at_cluster()

    def _call_next(self) -> None:
        while self._waiting and self._taken < self._cpus:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    async def _look_at_cluster(self) -> None:
        """Join it, and learn how many CPUs it has now: nodes come and go."""
        async with self._looking:
            if time.monotonic() < self._cpus_known_at + _CPUS_KNOWN_FOR_S:
                return
            try:
                async with asyncio.timeout(_JOINS_WITHIN_S):
                    if self._ray is None:
                        self._ray, self._task = await asyncio.to_thread(_joined)
                    self._cpus = max(1, int((await asyncio.to_thread(self._ray.cluster_resources)).get("CPU", 1)))
            except Exception as error:  # Ray has no common class for them
                why = f"no answer within {_JOINS_WITHIN_S:g} s" if isinstance(error, TimeoutError) else error
                reason = f"the Ray cluster at {os.environ.get(RAY_ADDRESS_ENV)} can't be used: {why}"
                raise rollout_error("verifier_error", reason) from error
            self._cpus_known_at = time.monotonic()
            self._call_next()

    async def _answer(self, job: Job) -> Reply:
        code, stored = await self._code_of(job)
        config, request = self._config, job.request(self._config.cpu_limit_s)
        request["file"] = code.name_of(job.file)
        limits = (config.wall_limit_s, config.memory_limit_bytes)
        running = self._task.remote(code.digest, [stored], request, *limits)
        self._running.add(running)
        within_s = config.wall_limit_s + STARTS_WITHIN_S + _TAKEN_WITHIN_S
        try:
            async with asyncio.timeout(within_s):
                line, status, timed_out, address = await running
        except (asyncio.CancelledError, TimeoutError) as error:
            self._ray.cancel(running, force=True)
            if isinstance(error, asyncio.CancelledError):
                raise
            reason = f"no node of the cluster did it within {within_s:g} s: its CPUs are taken, or a node is cut off"
            raise rollout_error("verifier_timeout", reason) from error
        except self._ray.exceptions.RayError as error:
            raise self._failure(error) from error
        finally:
            self._running.discard(running)
        return Reply(line, status, timed_out, address)

    async def _code_of(self, job: Job) -> tuple[CodeArchive, Any]:
        key = (job.module, str(job.file))
        if key not in self._codes:
            try:
                code = await asyncio.to_thread(pack, job)
            except (ValueError, OSError) as error:
                raise rollout_error("verifier_error", f"heavy work can't be sent to the cluster: {error}") from error
            self._codes.setdefault(key, (code, self._ray.put(code.data)))
        return self._codes[key]

    def _failure(self, error: Any) -> RolloutError:
        raised = self._ray.exceptions
        if self._closed:
            return stopping()
        if isinstance(error, raised.RayTaskError):
            return rollout_error("verifier_error", f"heavy work can't be done on a node: {error.cause!r}")
        if isinstance(error, raised.OutOfMemoryError):
            return rollout_error("verifier_error", f"a node ran out of memory: {error}")
        reason = f"the node that did heavy work was lost, {_RUNS_AGAIN + 1} times: {error}"
        return rollout_error("server_died", reason)


def _joined() -> tuple[Any, Any]:
    """Join the cluster where this process hasn't yet; return Ray, and the task."""
    connect(os.environ.get(RAY_ADDRESS_ENV), os.environ.get(RAY_NAMESPACE_ENV))
    import ray  # here: a run without a cluster imports none of it

    ray.cloudpickle.register_pickle_by_value(node)  # type: ignore[no-untyped-call]
    return ray, ray.remote(num_cpus=1, max_retries=_RUNS_AGAIN)(node.run_on_node)
