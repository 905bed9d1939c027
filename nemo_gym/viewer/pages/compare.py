"""Two collections of the same tasks: which tasks changed, by how much, and how sure that is."""

import math
from typing import Literal

from pydantic import BaseModel

from nemo_gym.collections.manifest import Manifest
from nemo_gym.collections.metrics.bootstrap import paired_bootstrap
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.table import SCORED
from nemo_gym.viewer.pages.overview import per_task_of

CONFIDENCE, NUM_RESAMPLES, SEED = 0.95, 5_000, 0
"""Those of `ng_compare`, so that both say the same."""

_MAX_LISTED = 500
_DIGEST_BYTES = 4

Side = Literal["better", "worse", "same"]


class ComparedTask(BaseModel):
    """A task in both: mean rewards, and the shares of scored rollouts that solve it, in [0, 1]."""

    task: int
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
        left_out: Tasks that are in both under the same index, but with another task row.
        tasks: Those that changed side first, then by the size of the difference; at most 500.
    """

    compared: int
    only_a: int
    only_b: int
    left_out: int
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
    """Compare the scored rollouts of two collections."""
    rates_a, rates_b = _by_task(a), _by_task(b)
    shared = rates_a.keys() & rates_b.keys()
    others = _other_rows(a.manifest, b.manifest)
    tasks = [_compared(task, rates_a[task], rates_b[task]) for task in sorted(shared - others)]
    differences = [task.difference for task in tasks]
    sure = paired_bootstrap(differences, num_resamples=NUM_RESAMPLES, confidence=CONFIDENCE, seed=SEED)
    tasks.sort(key=lambda task: (not task.changed_side, -abs(task.difference)))
    return Comparison(
        compared=len(tasks),
        only_a=len(rates_a) - len(shared),
        only_b=len(rates_b) - len(shared),
        left_out=len(shared & others),
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


_Rates = tuple[int, float, float]


def _by_task(follower: Follower) -> dict[int, _Rates]:
    """Return scored rollouts, mean reward and solved share by task."""
    table = follower.table
    scored = [number for number in table.current() if table.outcomes[number] == SCORED]
    rows = per_task_of(table, scored, follower.pass_threshold)
    columns = zip(rows.task_index, rows.n, rows.mean_reward, rows.solved, strict=True)
    return {task: (n, mean, solved / n) for task, n, mean, solved in columns}


def _compared(task: int, a: _Rates, b: _Rates) -> ComparedTask:
    return ComparedTask(
        task=task,
        reward_a=a[1],
        reward_b=b[1],
        solved_a=a[2],
        solved_b=b[2],
        n_a=a[0],
        n_b=b[0],
        difference=b[1] - a[1],
        changed_side=(a[2] > 0.5) != (b[2] > 0.5),
    )


def _other_rows(a: Manifest | None, b: Manifest | None) -> set[int]:
    """Return the task indexes under which the two collections have different rows, as their manifests say."""
    if a is None or b is None or a.tasks_digest == b.tasks_digest:
        return set()
    rows_a, rows_b = a.task_digests(), b.task_digests()
    shared = range(min(len(rows_a), len(rows_b)) // _DIGEST_BYTES)
    return {task for task in shared if _digest(rows_a, task) != _digest(rows_b, task)}


def _digest(digests: bytes, task: int) -> bytes:
    return digests[task * _DIGEST_BYTES : (task + 1) * _DIGEST_BYTES]
