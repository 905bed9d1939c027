"""The work of a collection: every task and repeat that is not settled yet, in order, as it is needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nemo_gym.rollouts.settled import Settled
from nemo_gym.rollouts.task import Task


@dataclass(frozen=True)
class Work:
    """One rollout to be run: its first attempt has the number `first_attempt`.

    `trajectory`: a verify request that only lacks its verdict; None: it has to be generated.
    """

    task: Task
    rollout_index: int
    first_attempt: int = 0
    trajectory: dict[str, Any] | None = None


def work_left(tasks: Iterator[Task], num_repeats: int, settled: Settled) -> Iterator[Work]:
    """Yield what has to be run, task by task."""
    for task in tasks:
        for rollout_index in range(num_repeats):
            key = (task.index, rollout_index)
            if not settled.is_settled(key):
                yield Work(task, rollout_index, settled.attempts[key], settled.trajectory(key))
