"""Two collections of the same tasks: which tasks changed, by how much, and how sure that is."""

import math

from pydantic import BaseModel

from nemo_gym.collections.metrics.bootstrap import paired_bootstrap
from nemo_gym.collections.metrics.metrics import PerTask
from nemo_gym.collections.reading.task_identity import paired, task_keys
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.table import SCORED
from nemo_gym.viewer.pages.overview import per_task_of

CONFIDENCE, NUM_RESAMPLES, SEED = 0.95, 5_000, 0
"""Those of `ng_compare`, so that both say the same."""

_MAX_LISTED = 500


class ComparedTask(BaseModel):
    """A task in both: mean rewards, and the shares of scored rollouts that solve it, in [0, 1].

    `task`: its index in A; `task_b`: in B.
    """

    task: int
    task_b: int
    reward_a: float
    reward_b: float
    solved_a: float
    solved_b: float
    n_a: int
    n_b: int
    difference: float
    changed_side: bool


class Comparison(BaseModel):
    """B against A, task by task.

    Attributes:
        difference: Mean over the tasks of (mean reward in B - mean reward in A).
        low, high, p_value: Its 95 % interval and two-sided p-value, by drawing tasks anew; None below two tasks.
        gained, lost: Tasks that most rollouts solve in B and not in A, and the other way round.
        better, worse: Tasks with a higher, and a lower, mean reward in B.
        tasks_known: Whether tasks are paired by what their rows ask; else it is by index.
        tasks: Those that changed side first, then by the size of the difference; at most 500.
    """

    compared: int
    only_a: int
    only_b: int
    tasks_known: bool
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    gained: int
    lost: int
    better: int
    worse: int
    tasks: list[ComparedTask]


def compare(a: Follower, b: Follower) -> Comparison:
    """Compare the scored rollouts of two collections; raises DamagedFileError.

    Their tasks are paired as `ng_compare` does it.
    """
    of_a, of_b = _per_task(a), _per_task(b)
    indices = of_a.task_index, of_b.task_index
    keys = task_keys(a.reader, b.reader, indices)
    tasks = [_compared(of_a, place_a, of_b, place_b) for place_a, place_b in paired(*(keys or indices))]
    differences = [task.difference for task in tasks]
    sure = paired_bootstrap(differences, num_resamples=NUM_RESAMPLES, confidence=CONFIDENCE, seed=SEED)
    tasks.sort(key=lambda task: (not task.changed_side, -abs(task.difference)))
    return Comparison(
        compared=len(tasks),
        only_a=len(of_a.n) - len(tasks),
        only_b=len(of_b.n) - len(tasks),
        tasks_known=keys is not None,
        difference=math.fsum(differences) / len(differences) if differences else None,
        low=sure and sure.low,
        high=sure and sure.high,
        p_value=sure and sure.p_value,
        gained=sum(task.changed_side and task.solved_b > task.solved_a for task in tasks),
        lost=sum(task.changed_side and task.solved_b < task.solved_a for task in tasks),
        better=sum(difference > 0 for difference in differences),
        worse=sum(difference < 0 for difference in differences),
        tasks=tasks[:_MAX_LISTED],
    )


def _per_task(follower: Follower) -> PerTask:
    table = follower.table
    scored = [number for number in table.current() if table.outcomes[number] == SCORED]
    return per_task_of(table, scored, follower.pass_threshold)


def _compared(a: PerTask, place_a: int, b: PerTask, place_b: int) -> ComparedTask:
    reward_a, reward_b = a.mean_reward[place_a], b.mean_reward[place_b]
    solved_a, solved_b = a.solved[place_a] / a.n[place_a], b.solved[place_b] / b.n[place_b]
    return ComparedTask(
        task=a.task_index[place_a],
        task_b=b.task_index[place_b],
        reward_a=reward_a,
        reward_b=reward_b,
        solved_a=solved_a,
        solved_b=solved_b,
        n_a=a.n[place_a],
        n_b=b.n[place_b],
        difference=reward_b - reward_a,
        changed_side=(solved_a > 0.5) != (solved_b > 0.5),
    )
