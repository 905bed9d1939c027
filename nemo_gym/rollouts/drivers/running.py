"""A rollout that a driver runs, as the collection sees it: what is written of it, and its outcome."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import orjson

from nemo_gym.collections.metrics.measures import MeasuredRollout
from nemo_gym.collections.outcomes import Attempt, Failed, Outcome
from nemo_gym.collections.records import FailureRecord
from nemo_gym.collections.writing.writer import Output
from nemo_gym.rollouts.drivers import messages
from nemo_gym.rollouts.runner import Work
from nemo_gym.wire.failure import rollout_error


@dataclass
class RunningRollout:
    """A rollout and the attempt it is at.

    Attributes:
        outcome: Set once; cancelled when the collection doesn't wait for it any more.
        unverified: The line of what was generated and not verified, if there is such.
    """

    work: Work
    attempt: Attempt
    output: Output
    outcome: asyncio.Future[Outcome]
    unverified: bytes | None = None

    @classmethod
    def begin(cls, work: Work, agent_name: str | None, output: Output) -> "RunningRollout":
        """Return a rollout at its first attempt."""
        attempt = Attempt.begin(work.task.index, work.rollout_index, work.first_attempt, agent_name)
        return cls(work, attempt, output, asyncio.get_running_loop().create_future())

    def message(self, max_attempts: int) -> messages.Run:
        """Return what asks a driver for it, from this attempt on; `max_attempts`: in all."""
        task, number = self.work.task, self.attempt.number
        left = max_attempts - (number - self.work.first_attempt)
        return messages.Run(self.attempt.key, task.line_number, task.line, number, left, self._trajectory())

    def _trajectory(self) -> bytes | None:
        if self.unverified is not None:
            return orjson.dumps(orjson.loads(self.unverified)["verify_request"])
        return None if self.work.trajectory is None else orjson.dumps(self.work.trajectory)

    @contextmanager
    def errors_are_its_outcome(self) -> Iterator[None]:
        """Hand an error (a full disk) to whoever waits for the outcome."""
        try:
            yield
        except Exception as error:
            self.outcome.set_exception(error)

    def dispatched(self) -> None:
        """Write that its attempt begins."""
        self.output.dispatched(self.attempt)

    def take(self, message: messages.OfRollout) -> None:
        """Write, or settle it with, what its driver reports."""
        if isinstance(message, messages.Verified):
            counted = message.reward, message.is_masked, message.mask_kind
            self.outcome.set_result(MeasuredRollout(message.key, *counted, message.line, message.measures))
        elif isinstance(message, messages.Materialized):
            self.output.append_input(message.key, message.line)
        elif isinstance(message, messages.Dispatched):
            if message.attempt != self.attempt.number:
                self._begin_attempt(message.attempt)
                self.dispatched()
        elif isinstance(message, messages.AttemptFailed):
            self.output.attempt_failed(_failed(message.record))
        elif isinstance(message, messages.Unverified):
            self.unverified = message.line
            self.output.append_unverified(message.line)
        else:
            self.outcome.set_result(_failed(message.record))

    def lose_driver(self, reason: str, max_attempts: int) -> bool:
        """Count the attempt as failed; return whether another is to follow, else this was the outcome."""
        error = rollout_error("server_died", reason, server="collector", delivery="possibly_delivered")
        failed, number = self.attempt.failed(error), self.attempt.number + 1
        if number - self.work.first_attempt >= max_attempts:
            self.outcome.set_result(failed)
            return False
        self.output.attempt_failed(failed)
        self._begin_attempt(number)
        return True

    def _begin_attempt(self, number: int) -> None:
        self.attempt = Attempt.begin(*self.attempt.key, number, self.attempt.agent_name)


def _failed(record: bytes) -> Failed:
    return Failed(FailureRecord.model_validate_json(record))
