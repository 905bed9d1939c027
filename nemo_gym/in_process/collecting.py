"""The collector for a program: outcomes as they come, instead of files."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from nemo_gym.collections.outcomes import Attempt, Failed, Outcome
from nemo_gym.collections.tasks import PARAMS_KEY, Task, check_task_file, find_task_file, read_tasks
from nemo_gym.rollouts.collector import Collector, CollectorLimits
from nemo_gym.rollouts.runner import LocalRunner, RolloutRules, Work
from nemo_gym.rollouts.token_data.masking import TokenDataMasking
from nemo_gym.servers.http.client import ServerClient

TaskLike = Mapping[str, Any] | str
"""A task row, or the user's message of one that has nothing else."""


class CollectionStoppedError(RuntimeError):
    """A collection ended early: rollout after rollout failed for a reason that won't go away, or its gym was closed."""


def as_row(task: TaskLike) -> dict[str, Any]:
    """Return a task as a row."""
    return {PARAMS_KEY: {"input": task}} if isinstance(task, str) else dict(task)


def as_tasks(tasks: Iterable[TaskLike] | Path) -> Iterator[Task]:
    """Yield the tasks of a JSONL file, or of a program's own rows.

    Raises:
        ConfigError: There is no such file.
        TypeError: JSON has no form for something in a row.
    """
    if isinstance(tasks, Path):
        path = find_task_file(tasks)
        check_task_file(path)
        yield from read_tasks(path)
        return
    for index, task in enumerate(tasks):
        yield Task(index, index + 1, orjson.dumps(as_row(task)))


class OutcomeStream:
    """One collection of a program.

    Args:
        client: Calls the servers.
        agent_name: Agent of every row; None: the one each names.
        params: Override each row's create parameters.
        limits: Bounds of the collection.
    """

    def __init__(
        self, client: ServerClient, agent_name: str | None, params: Mapping[str, Any], limits: CollectorLimits
    ) -> None:
        self._running: asyncio.Task[None] | None = None
        self._settled: asyncio.Queue[Outcome | None] = asyncio.Queue()
        rules = RolloutRules(agent_name, params, limits.max_attempts, limits.rollout_timeout_s)
        runner = LocalRunner(client, self, rules, check=TokenDataMasking(None))
        self._collector = Collector(runner, self, limits, lambda outcome: None)

    async def of(self, work: Iterator[Work]) -> AsyncGenerator[Outcome]:
        """Yield the outcomes as they come; whoever stops reading cuts off what runs.

        Raises:
            CollectionStoppedError: Not all of the work was done.
        """
        self._running = running = asyncio.create_task(self._collector.run(work))
        running.add_done_callback(lambda _: self._settled.put_nowait(None))
        try:
            while (outcome := await self._settled.get()) is not None:
                yield outcome
            if running.cancelled():
                raise CollectionStoppedError("the gym was closed")
            await running
            if self._collector.stopped_because is not None:
                raise CollectionStoppedError(self._collector.stopped_because)
        finally:
            await self.cut_off()

    async def cut_off(self) -> None:
        """End what runs; it isn't settled."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    # What the collector tells of.

    def dispatched(self, attempt: Attempt) -> None:
        """Nobody asks."""

    def attempt_failed(self, failed: Failed) -> None:
        """Nobody asks: the outcome follows."""

    def unverified(self, attempt: Attempt, verify_request: dict[str, Any]) -> None:
        """Nothing is kept for a later process."""

    def materialize(self, attempt: Attempt, row: dict[str, Any]) -> None:
        """The program has its rows."""

    def settle(self, outcome: Outcome) -> None:
        """Hand an outcome on."""
        self._settled.put_nowait(outcome)
