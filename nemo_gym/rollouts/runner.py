"""What runs one rollout to its outcome: this process, or others that a collection has started."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from nemo_gym.collections.outcomes import Attempt, AttemptOutcome, Outcome
from nemo_gym.collections.tasks import Task, agent_of, with_params
from nemo_gym.rollouts.attempts import AttemptLog, AttemptPolicy, attempt_until_settled
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.wire.failure import rollout_error


@dataclass(frozen=True)
class Work:
    """One rollout to be run: its first attempt has the number `first_attempt`.

    Attributes:
        trajectory: A verify request that only lacks its verdict; None: it has to be generated.
        max_attempts: How many it has left; None: as many as the rules say.
    """

    task: Task
    rollout_index: int
    first_attempt: int = 0
    trajectory: dict[str, Any] | None = None
    max_attempts: int | None = None


@dataclass(frozen=True)
class RolloutRules:
    """What holds for every rollout of a collection.

    Attributes:
        agent_name: Agent of every row; None: the one each names.
        params: Override each row's create parameters.
        max_attempts: Attempts for each rollout in this run, from 1.
        rollout_timeout_s: Longest one attempt may take, in seconds.
    """

    agent_name: str | None
    params: Mapping[str, Any]
    max_attempts: int
    rollout_timeout_s: float


class RunnerLostError(Exception):
    """Nothing is left that could run rollouts; those that ran have no outcome."""


class RolloutRunner(Protocol):
    """Runs rollouts. `retries`: attempts so far that followed a failed one."""

    retries: int

    async def outcome(self, work: Work) -> Outcome:
        """Return the outcome of one rollout; raises RunnerLostError."""

    def stop(self) -> None:
        """Begin no further attempts; those that run may end."""


class RunLog(AttemptLog, Protocol):
    """Is told of attempts as they happen."""

    def materialize(self, attempt: Attempt, row: dict[str, Any]) -> None:
        """A task row is sent to its agent."""


class LocalRunner:
    """Runs rollouts on this process's event loop.

    Args:
        client: Calls the servers.
        log: Is told of every attempt.
        rules: What holds for every rollout.
        check: Looks at every outcome, and returns it or another.
    """

    def __init__(
        self,
        client: ServerClient,
        log: RunLog,
        rules: RolloutRules,
        check: Callable[[AttemptOutcome], AttemptOutcome],
    ) -> None:
        self.retries = 0
        self._client = client
        self._log = log
        self._rules = rules
        self._check = check
        self._policy = AttemptPolicy(rules.max_attempts, rules.rollout_timeout_s, self._pause)
        self._stop = asyncio.Event()

    async def outcome(self, work: Work) -> AttemptOutcome:
        """Return the outcome of one rollout."""
        return self._check(await self._settled(work))

    def stop(self) -> None:
        """Begin no further attempts."""
        self._stop.set()

    async def _settled(self, work: Work) -> AttemptOutcome:
        index = work.task.index, work.rollout_index, work.first_attempt
        rules = self._rules
        try:
            row = with_params(work.task.row(), rules.params)
        except ValueError as error:
            mistake = rollout_error("input_invalid", str(error), stage="admission", delivery="not_sent")
            return Attempt.begin(*index, rules.agent_name).failed(mistake)
        attempt = Attempt.begin(*index, rules.agent_name or agent_of(row))
        if work.trajectory is None:
            self._log.materialize(attempt, row)
        policy = self._policy
        if work.max_attempts is not None:
            policy = replace(policy, max_attempts=work.max_attempts)
        return await attempt_until_settled(self._client, row, attempt, policy, self._log, work.trajectory)

    async def _pause(self, seconds: float) -> bool:
        """Wait, unless a stop comes first; False then."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            self.retries += not self._stop.is_set()
            return not self._stop.is_set()
        return False
