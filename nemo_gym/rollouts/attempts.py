"""A rollout from its first attempt to its outcome: a failure is tried again, in a fresh session, a few times."""

import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from nemo_gym.collections.outcomes import Attempt, AttemptOutcome, Failed
from nemo_gym.rollouts.reverify.verify_again import verify_again
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.response import failure_of
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.wire.failure import RolloutError, rollout_error
from nemo_gym.wire.token_arrays import TokenArrayError, take_out_arrays

_log = logging.getLogger("nemo_gym.rollouts")


async def run_attempt(
    client: ServerClient,
    row: dict[str, Any],
    attempt: Attempt,
    *,
    timeout_s: float,
    trajectory: dict[str, Any] | None = None,
) -> AttemptOutcome:
    """Return the outcome of one attempt within `timeout_s`; a failure is an outcome, only cancellation is raised."""
    deadline = Deadline(timeout_s, "setting rollout_timeout_s", "agent_timeout")
    try:
        agent_name = _known_agent(client, attempt)
        if trajectory is not None:
            return await _verdict(client, agent_name, trajectory, attempt, deadline)
        return await _run(client, agent_name, row, attempt, deadline)
    except RolloutError as error:
        return attempt.failed(error)
    except Exception as error:  # one row that runs into a bug of ours must not end a whole night's collection
        _log.exception("rollout %s", attempt.rollout_id)
        reason = f"{type(error).__name__} in the collector: {error}"
        return attempt.failed(rollout_error("agent_error", reason, server="collector", delivery="possibly_delivered"))


def _known_agent(client: ServerClient, attempt: Attempt) -> str:
    name = attempt.agent_name
    if name is None:
        reason = "no agent: the row has no agent_ref, and agent_name is not set"
        raise rollout_error("input_invalid", reason, stage="admission", delivery="not_sent")
    try:
        client.base_url(name)
    except KeyError as error:
        raise rollout_error("input_invalid", error.args[0], stage="admission", delivery="not_sent") from error
    return name


async def _verdict(
    client: ServerClient, agent_name: str, trajectory: dict[str, Any], attempt: Attempt, deadline: Deadline
) -> AttemptOutcome:
    answer = await verify_again(client, agent_name, trajectory, deadline)
    try:
        return attempt.scored(answer)
    except RolloutError as error:
        raise RolloutError(error.failure, trajectory) from error


async def _run(
    client: ServerClient, agent_name: str, row: dict[str, Any], attempt: Attempt, deadline: Deadline
) -> AttemptOutcome:
    answer = await client.post(agent_name, "/run", json=row, deadline=deadline)
    if not answer.ok:
        raise failure_of(answer)
    try:
        # An answer may hold a million token ids, which only a trainer looks at.
        apart = take_out_arrays(answer.body, check=True)
        decoded = orjson.loads(apart.text)
    except TokenArrayError as error:
        reason = f"the answer of {agent_name}: {error}"
        raise rollout_error("token_data_invalid", reason, server=agent_name) from error
    except orjson.JSONDecodeError as error:
        reason = f"the answer of {agent_name} isn't valid JSON: {error}"
        raise rollout_error("agent_error", reason, server=agent_name) from error
    return attempt.scored(decoded, apart.arrays, was_run=True)


_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 8.0


class AttemptLog(Protocol):
    """Is told of attempts as they happen."""

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
) -> AttemptOutcome:
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
