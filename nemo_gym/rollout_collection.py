"""Collecting rollouts from a program: a whole task file, or rows of one's own."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any

import orjson

from nemo_gym.collections.outcomes import Attempt, Failed
from nemo_gym.collections.records import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY
from nemo_gym.collections.tasks import agent_of
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.rollouts.attempts import AttemptPolicy, attempt_until_settled
from nemo_gym.rollouts.collection import Collection
from nemo_gym.rollouts.options import RolloutCollectionConfig
from nemo_gym.rollouts.report import CollectionReport
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.connections import raise_descriptor_limit
from nemo_gym.wire.failure import RolloutError

__all__ = ["CollectionReport", "RolloutCollectionConfig", "RolloutCollectionHelper", "RolloutError"]

Row = dict[str, Any]


class RolloutCollectionHelper:
    """Collects with the servers of a run that is up.

    Args:
        max_attempts: Attempts for each row of `run_examples`; a failure that is terminal is not tried again.
        rollout_timeout_s: Longest one of these attempts may take, in seconds.
    """

    def __init__(self, max_attempts: int = 3, rollout_timeout_s: float = 3600.0) -> None:
        self.max_attempts = max_attempts
        self.rollout_timeout_s = rollout_timeout_s

    async def run_from_config(self, config: RolloutCollectionConfig) -> CollectionReport:
        """Collect a task file into a rollout file, as `ng_collect_rollouts` does; prints nothing but progress.

        Raises:
            ConfigError: A mistake in `config`, an output of another collection, or no head answers.
            OutputError: The output could not be written.
        """
        collection = Collection(config, ServerClient.load_from_global_config())
        collection.check()
        return await collection.run()

    def run_examples(
        self, examples: Sequence[Row], head_server_config: BaseServerConfig | None = None
    ) -> Iterator[Awaitable[tuple[Row, Row]]]:
        """Start a rollout for every row, and return an iterator of awaitables in completion order.

        Args:
            examples: Task rows with their `agent_ref`; other fields reach the agent and come back with the row.
            head_server_config: Where the head listens; None: as configured.

        Returns:
            Each awaitable gives (the row, the same object as given; the agent's answer with its `reward`), or raises
            the RolloutError of a row that failed. The iterator may be turned into a list before anything is awaited.

        Raises:
            ConfigError: No head answers.
        """
        raise_descriptor_limit()
        client = ServerClient.load_from_global_config(head_server_config)
        return asyncio.as_completed([self._run(client, row, index) for index, row in enumerate(examples)])

    async def _run(self, client: ServerClient, row: Row, index: int) -> tuple[Row, Row]:
        policy = AttemptPolicy(self.max_attempts, self.rollout_timeout_s, _pause)
        attempt = Attempt.begin(index, 0, 0, agent_of(row))
        outcome = await attempt_until_settled(client, row, attempt, policy, _Unlogged())
        if isinstance(outcome, Failed):
            raise outcome.error or RuntimeError(f"a failure without its error: {outcome.record}")
        whole = orjson.loads(outcome.line)
        return row, {key: value for key, value in whole.items() if key in row or key not in _MARKS}


_MARKS = (TASK_INDEX_KEY, ROLLOUT_INDEX_KEY)


class _Unlogged:
    def dispatched(self, attempt: Attempt) -> None: ...

    def attempt_failed(self, failed: Failed) -> None: ...

    def unverified(self, attempt: Attempt, verify_request: Row) -> None: ...


async def _pause(seconds: float) -> bool:
    await asyncio.sleep(seconds)
    return True
