"""A rollout from its first attempt to its outcome: a failure is tried again, in a fresh session, a few times."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from nemo_gym.rollouts.outcome import Attempt, Failed, Outcome
from nemo_gym.rollouts.run_attempt import run_attempt
from nemo_gym.servers.client import ServerClient

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 8.0


class AttemptLog(Protocol):
    """Who is told of attempts as they happen."""

    def dispatched(self, attempt: Attempt) -> None:
        """An attempt begins."""

    def attempt_failed(self, failed: Failed) -> None:
        """An attempt failed, and will be followed by another."""

    def unverified(self, attempt: Attempt, verify_request: dict[str, Any]) -> None:
        """An attempt generated what could not be verified."""


@dataclass(frozen=True)
class AttemptPolicy:
    """How a rollout is attempted.

    Attributes:
        max_attempts: Attempts in all, from 1.
        timeout_s: Longest one attempt may take, in seconds.
        pause: Waits the given seconds before the next attempt; False: there is to be none.
    """

    max_attempts: int
    timeout_s: float
    pause: Callable[[float], Awaitable[bool]]


async def attempt_until_settled(
    client: ServerClient,
    row: dict[str, Any],
    attempt: Attempt,
    policy: AttemptPolicy,
    log: AttemptLog,
    trajectory: dict[str, Any] | None = None,
) -> Outcome:
    """Return the outcome of a rollout whose first attempt is `attempt`.

    Args:
        row: What its agent is sent.
        trajectory: A verify request that only lacks its verdict; then the agent is not asked.
    """
    first = attempt.number
    while True:
        log.dispatched(attempt)
        outcome = await run_attempt(client, row, attempt, timeout_s=policy.timeout_s, trajectory=trajectory)
        if not isinstance(outcome, Failed):
            return outcome
        if outcome.trajectory is not None and outcome.trajectory is not trajectory:
            log.unverified(attempt, outcome.trajectory)
        trajectory = outcome.trajectory
        if outcome.record.terminal or attempt.number - first + 1 >= policy.max_attempts:
            return outcome
        log.attempt_failed(outcome)
        if not await policy.pause(_delay_s(attempt.number - first)):
            return outcome
        attempt = Attempt.begin(attempt.task_index, attempt.rollout_index, attempt.number + 1, attempt.agent_name)


def _delay_s(failures_before: int) -> float:
    # Full jitter: what failed together must not come back together.
    return random.uniform(0, min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2**failures_before))
