"""The collector: runs the work with bounded concurrency, settles every rollout once, stops when asked."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nemo_gym.rollouts.line_file import OutputError
from nemo_gym.rollouts.outcome import Attempt, Failed, Outcome
from nemo_gym.rollouts.output import Output
from nemo_gym.rollouts.run_attempt import run_attempt
from nemo_gym.rollouts.task import with_params
from nemo_gym.rollouts.work import Work
from nemo_gym.servers.client import ServerClient
from nemo_gym.wire.failure import rollout_error

DRAIN_S = 5.0
_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 8.0
_BREATHE_EVERY = 64
_UNLIMITED = 2**31


@dataclass(frozen=True)
class CollectorLimits:
    """Bounds of a collection. Times in seconds; None: no bound.

    Attributes:
        max_in_flight: Rollouts at once.
        max_attempts: Attempts for each rollout in this run.
        rollout_timeout_s: Longest one attempt may take.
        time_budget_s: Nothing is started that would not end within it.
        strict: Stop at the first failure.
    """

    max_in_flight: int | None = None
    max_attempts: int = 3
    rollout_timeout_s: float = 3600.0
    time_budget_s: float | None = None
    strict: bool = False


@dataclass
class Collector:
    """One collection in progress.

    Attributes:
        on_outcome: Told of every outcome after it was written.
        stopped_because: Why it ended early, in words; None when it ran to its end.
    """

    client: ServerClient
    output: Output
    limits: CollectorLimits
    agent_name: str | None
    params: Mapping[str, Any]
    on_outcome: Callable[[Outcome], None]
    stopped_because: str | None = None
    in_flight: int = 0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _began_at: float = field(default_factory=time.monotonic)
    _longest_s: float = 0.0
    _drain_until: float = 0.0
    _write_error: OutputError | None = None

    def stop(self, reason: str, drain_s: float = DRAIN_S) -> None:
        """Start nothing more. What runs has `drain_s` seconds to end, then it is cut off: not settled."""
        if not self._stop.is_set():
            self.stopped_because = reason
            self._drain_until = time.monotonic() + drain_s
            self._stop.set()

    async def run(self, work: Iterator[Work]) -> None:
        """Run the work; returns when everything is settled, or a stop was asked for and what ran has drained.

        Raises:
            OutputError: The output could not be written.
        """
        tasks: set[asyncio.Task[None]] = set()
        slots = asyncio.Semaphore(self.limits.max_in_flight or _UNLIMITED)
        try:
            async for item in self._dispatches(work, slots):
                task = asyncio.create_task(self._settle(item, slots))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await self._drain(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._write_error is not None:
            raise self._write_error

    async def _dispatches(self, work: Iterator[Work], slots: asyncio.Semaphore) -> AsyncIterator[Work]:
        """Yield the next work each time a slot is free, until a stop."""
        for number, item in enumerate(work):
            if number % _BREATHE_EVERY == 0:
                await asyncio.sleep(0)  # with no bound on concurrency nothing else here would let others run
            if not await self._slot_or_stop(slots) or self._out_of_time():
                return
            yield item

    async def _slot_or_stop(self, slots: asyncio.Semaphore) -> bool:
        if self._stop.is_set():
            return False
        if not slots.locked():
            await slots.acquire()
            return True
        acquire, stop = asyncio.ensure_future(slots.acquire()), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([acquire, stop], return_when=asyncio.FIRST_COMPLETED)
            return acquire.done() and not self._stop.is_set()
        finally:
            acquire.cancel()
            stop.cancel()

    def _out_of_time(self) -> bool:
        budget = self.limits.time_budget_s
        if budget is None:
            return False
        left = self._began_at + budget - time.monotonic()
        if left > self._longest_s:
            return False
        self.stop(f"the time budget of {budget:g} s (time_budget_s) leaves no time for another rollout", left)
        return True

    async def _drain(self, tasks: set[asyncio.Task[None]]) -> None:
        """Wait for what runs; after a stop, only for as long as it allows."""
        everyone = asyncio.ensure_future(asyncio.wait(tasks)) if tasks else None
        if everyone is None:
            return
        stop = asyncio.ensure_future(self._stop.wait())
        budget = self.limits.time_budget_s
        left = None if budget is None else max(0.0, self._began_at + budget - time.monotonic())
        await asyncio.wait([everyone, stop], return_when=asyncio.FIRST_COMPLETED, timeout=left)
        if not everyone.done():
            self.stop(f"the time budget of {budget:g} s (time_budget_s) is over", 0.0)
            await asyncio.wait([everyone], timeout=max(0.0, self._drain_until - time.monotonic()))
        stop.cancel()
        everyone.cancel()

    async def _settle(self, work: Work, slots: asyncio.Semaphore) -> None:
        self.in_flight += 1
        began_at = time.monotonic()
        try:
            try:
                outcome = await self._attempts(work)
            finally:
                self.in_flight -= 1
            self.output.settle(outcome)
            self.on_outcome(outcome)
            if self.limits.strict and isinstance(outcome, Failed):
                self.stop(f"a rollout failed ({outcome.record.failure_kind}), and strict is set")
        except OutputError as error:
            self._write_error = self._write_error or error
            self.stop(str(error), 0.0)
        finally:
            self._longest_s = max(self._longest_s, time.monotonic() - began_at)
            slots.release()

    async def _attempts(self, work: Work) -> Outcome:
        """Attempt a rollout until it is verified, cannot be, or has had its attempts; a fresh session each time."""
        number, trajectory = work.first_attempt, work.trajectory
        last = number + self.limits.max_attempts - 1
        while True:
            outcome, attempt = await self._attempt(work, number, trajectory)
            if not isinstance(outcome, Failed) or outcome.record.terminal or number == last:
                return outcome
            self.output.attempt_failed(outcome)
            trajectory = outcome.trajectory
            exponent = number - work.first_attempt
            await asyncio.sleep(random.uniform(0, min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2**exponent)))
            number = attempt.number + 1

    async def _attempt(self, work: Work, number: int, trajectory: dict[str, Any] | None) -> tuple[Outcome, Attempt]:
        try:
            row = with_params(work.task.row(), self.params)
        except ValueError as error:
            attempt = Attempt.begin(work.task.index, work.rollout_index, number, self.agent_name)
            return attempt.failed(rollout_error("input_invalid", str(error), stage="admission")), attempt
        agent_name = self.agent_name or row.get("agent_ref", {}).get("name")
        attempt = Attempt.begin(work.task.index, work.rollout_index, number, agent_name)
        self.output.dispatched(attempt)
        timeout_s = self.limits.rollout_timeout_s
        return await run_attempt(self.client, row, attempt, timeout_s=timeout_s, trajectory=trajectory), attempt
