"""The work of a collection: every task and repeat that is not settled yet, in order, as it is needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nemo_gym.rollouts.settled import Settled
from nemo_gym.rollouts.task import Task


@dataclass(frozen=True)
class Work:
    """One rollout to be run: its first attempt has the number `first_attempt`."""

    task: Task
    rollout_index: int
    first_attempt: int = 0
    trajectory: dict[str, Any] | None = None


def work_left(tasks: Iterator[Task], num_repeats: int, settled: Settled) -> Iterator[Work]:
    """Yield what has to be run, task by task."""
    for task in tasks:
        for rollout_index in range(num_repeats):
            key = (task.index, rollout_index)
            if key not in settled.done and key not in settled.final:
                yield Work(task, rollout_index, settled.attempts[key], settled.unverified.pop(key, None))
