"""The collector: runs the work with bounded concurrency, settles every rollout once, stops when asked."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from nemo_gym.collections.outcomes import Failed, Outcome
from nemo_gym.collections.tasks import Task
from nemo_gym.collections.writing.resume import ResumeState
from nemo_gym.rollouts.runner import RolloutRunner, RunnerLostError, Work
from nemo_gym.rollouts.slots import InFlight, Slots, slots_for
from nemo_gym.rollouts.stop_rule import StopRule


def work_left(tasks: Iterator[Task], num_repeats: int, settled: ResumeState) -> Iterator[Work]:
    """Yield what has to be run, task by task."""
    for task in tasks:
        for rollout_index in range(num_repeats):
            key = (task.index, rollout_index)
            if not settled.is_settled(key):
                yield Work(task, rollout_index, settled.attempts[key], settled.trajectory(key))


class OutcomeLog(Protocol):
    """Gets every outcome: the files of a collection, or a program."""

    def settle(self, outcome: Outcome) -> None:
        """A rollout has its outcome."""


DRAIN_S = 3.0
_LATENCIES_KEPT = 500
_BREATHE_EVERY = 64
_UNLIMITED_S = 2**31
_OVERLOAD_KINDS = ("model_rate_limited", "model_unavailable", "transport_unreachable", "transport_local_resource")


@dataclass(frozen=True)
class CollectorLimits:
    """Bounds of a collection. Times in seconds; None: no bound.

    Attributes:
        max_in_flight: Rollouts at once; "auto": as many as the endpoint keeps up with; None: `DEFAULT_IN_FLIGHT`.
        max_attempts: Attempts for each rollout in this run.
        rollout_timeout_s: Longest one attempt may take.
        time_budget_s: Nothing is started that would not end within it; what still runs then is cut off.
        strict: See `StopRule`.
        num_drivers: Processes that run them, each with connections of its own.
    """

    max_in_flight: InFlight = None
    max_attempts: int = 3
    rollout_timeout_s: float = 3600.0
    time_budget_s: float | None = None
    strict: bool | None = None
    num_drivers: int = 1


@dataclass
class Collector:
    """One collection in progress.

    Attributes:
        runner: Runs the rollouts.
        on_outcome: Told of every outcome after it was written.
        stopped_because: Why it ended early, in words; None when it ran to its end.
        in_flight: Rollouts that run now.
        slots: How many may run.
    """

    runner: RolloutRunner
    output: OutcomeLog
    limits: CollectorLimits
    on_outcome: Callable[[Outcome], None]
    stopped_because: str | None = None
    in_flight: int = 0
    slots: Slots = field(init=False)
    _latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES_KEPT))
    _stop_rule: StopRule = field(init=False)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _began_at: float = field(default_factory=time.monotonic)
    _longest_s: float = 0.0
    _drain_until: float = 0.0
    _error: Exception | None = None

    def __post_init__(self) -> None:
        self.slots = slots_for(self.limits.max_in_flight, self.limits.num_drivers)
        self._stop_rule = StopRule(self.limits.strict)

    @property
    def latency_p50_s(self) -> float | None:
        """Median time of the rollouts that finished last, attempts and pauses included; None before the first."""
        return median(self._latencies_s) if self._latencies_s else None

    def stop(self, reason: str, drain_s: float = DRAIN_S) -> None:
        """Start nothing more. What runs has `drain_s` seconds to end, then it is cut off: not settled."""
        if not self._stop.is_set():
            self.stopped_because = reason
            self._drain_until = time.monotonic() + drain_s
            self._stop.set()
            self.runner.stop()

    async def run(self, work: Iterator[Work]) -> None:
        """Run the work; returns when everything is settled, or a stop was asked for and what ran has drained.

        Raises:
            OutputError: The output could not be written.
        """
        tasks: set[asyncio.Task[None]] = set()
        slots = self.slots
        budget_timer = self._stop_when_time_is_over()
        try:
            async for item in self._dispatches(work, slots):
                task = asyncio.create_task(self._settle(item, slots))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await self._drain(list(tasks))
        finally:
            budget_timer.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._error is not None:
            raise self._error

    async def _dispatches(self, work: Iterator[Work], slots: Slots) -> AsyncIterator[Work]:
        """Yield the next work each time a slot is free, until a stop."""
        for number, item in enumerate(work):
            if number % _BREATHE_EVERY == 0:
                await asyncio.sleep(0)  # while slots are free nothing else here would let others run
            if not await self._slot_or_stop(slots) or self._out_of_time():
                return
            yield item

    async def _slot_or_stop(self, slots: Slots) -> bool:
        if self._stop.is_set():
            return False
        if slots.take_free():
            return True
        acquire, stop = asyncio.ensure_future(slots.acquire()), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([acquire, stop], return_when=asyncio.FIRST_COMPLETED)
            return acquire.done() and not self._stop.is_set()
        finally:
            acquire.cancel()
            stop.cancel()

    def _stop_when_time_is_over(self) -> asyncio.TimerHandle:
        budget = self.limits.time_budget_s
        seconds = _UNLIMITED_S if budget is None else budget
        reason = f"the time budget of {seconds:g} s (time_budget_s) is over"
        return asyncio.get_running_loop().call_later(seconds, self.stop, reason, 0.0)

    def _out_of_time(self) -> bool:
        budget = self.limits.time_budget_s
        if budget is None:
            return False
        left = self._began_at + budget - time.monotonic()
        if left > self._longest_s:
            return False
        self.stop(f"the time budget of {budget:g} s (time_budget_s) leaves no time for another rollout", left)
        return True

    async def _drain(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait for what runs; after a stop, only for as long as it allows."""
        if not tasks:
            return
        everyone, stop = asyncio.ensure_future(asyncio.wait(tasks)), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([everyone, stop], return_when=asyncio.FIRST_COMPLETED)
            if not everyone.done():
                await asyncio.wait([everyone], timeout=max(0.0, self._drain_until - time.monotonic()))
        finally:
            stop.cancel()
            everyone.cancel()

    async def _settle(self, work: Work, slots: Slots) -> None:
        self.in_flight += 1
        began_at = time.monotonic()
        outcome: Outcome | None = None
        try:
            try:
                outcome = await self.runner.outcome(work)
            finally:
                self.in_flight -= 1
            self.output.settle(outcome)
            self.on_outcome(outcome)
            hopeless = self._stop_rule.add(outcome)
            if hopeless is not None:
                self.stop(hopeless)
        except RunnerLostError as error:
            self.stop(str(error), 0.0)
        except Exception as error:  # nothing can be settled any more: a full disk, or a bug of ours
            self._error = self._error or error
            self.stop(str(error), 0.0)
        finally:
            seconds = time.monotonic() - began_at
            if outcome is not None:
                self._latencies_s.append(seconds)
            self._longest_s = max(self._longest_s, seconds)
            slots.release(seconds, overloaded=_is_overload(outcome))


def _is_overload(outcome: Outcome | None) -> bool:
    return isinstance(outcome, Failed) and outcome.record.failure_kind in _OVERLOAD_KINDS
