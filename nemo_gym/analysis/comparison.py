"""Two collections of the same tasks, compared task by task."""

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from nemo_gym.analysis.task_profile import ProfileSettings, profile_tasks
from nemo_gym.collections.metrics.bootstrap import Difference, paired_bootstrap
from nemo_gym.collections.reading.reader import CollectionReader
from nemo_gym.collections.reading.task_identity import paired, task_keys
from nemo_gym.config.errors import ConfigError, Mistake

COMPARED = ("mean_reward", "pass_rate", "output_tokens", "steps", "tool_calls", "cost")
_MOST_EXTREME = 20


@dataclass(frozen=True)
class ComparedField:
    """A field of the profiles, over the tasks that both collections have it for."""

    name: str
    tasks: int
    baseline: float
    candidate: float
    difference: Difference | None


@dataclass(frozen=True)
class TaskChange:
    """A task whose mean reward differs; its index in the baseline, and in the candidate."""

    task_index: int
    candidate_task_index: int
    baseline: float
    candidate: float

    @property
    def difference(self) -> float:
        """Candidate minus baseline."""
        return self.candidate - self.baseline


@dataclass
class Comparison:
    """What two collections come to. A task is paired when both have a scored rollout of it.

    Attributes:
        paired: Tasks compared.
        only_in_baseline: Tasks with scored rollouts in the baseline alone.
        only_in_candidate: Likewise.
        tasks_known: Whether the collections have their task rows, by which tasks are paired; else it is by index.
        better: Tasks with a higher mean reward in the candidate.
        worse: With a lower one.
        fields: Each compared field.
        most_worse: The tasks that lost most, at most 20, worst first.
        most_better: The tasks that gained most, likewise.
    """

    paired: int = 0
    only_in_baseline: int = 0
    only_in_candidate: int = 0
    tasks_known: bool = False
    better: int = 0
    worse: int = 0
    fields: list[ComparedField] = field(default_factory=list)
    most_worse: list[TaskChange] = field(default_factory=list)
    most_better: list[TaskChange] = field(default_factory=list)


@dataclass(frozen=True)
class BootstrapSettings:
    """How sure a difference is said to be; see `paired_bootstrap`."""

    num_resamples: int = 5_000
    confidence: float = 0.95
    seed: int = 0


class _Tasks:
    """The tasks of a collection with a scored rollout: their indices, and each compared field, NaN where unknown."""

    def __init__(self, reader: CollectionReader, settings: ProfileSettings) -> None:
        self.indices = array("Q")
        self.columns = {name: array("d") for name in COMPARED}
        for profile in profile_tasks(reader, settings):
            if profile.n:
                self.indices.append(profile.task_index)
                for name, column in self.columns.items():
                    value = getattr(profile, name)
                    column.append(math.nan if value is None else value)


def compare(
    baseline: CollectionReader, candidate: CollectionReader, profile: ProfileSettings, bootstrap: BootstrapSettings
) -> Comparison:
    """Compare two collections, both with a refreshed index; takes some hundred bytes for each task.

    Raises:
        ConfigError: They have no task in common.
        DamagedFileError: A file of theirs holds something else.
    """
    before, after = _Tasks(baseline, profile), _Tasks(candidate, profile)
    keys = task_keys(baseline, candidate, (before.indices, after.indices))
    pairs = paired(*(keys or (before.indices, after.indices)))
    result = Comparison(
        paired=len(pairs),
        only_in_baseline=len(before.indices) - len(pairs),
        only_in_candidate=len(after.indices) - len(pairs),
        tasks_known=keys is not None,
    )
    if not pairs:
        raise ConfigError(_nothing_in_common(result))
    for name in COMPARED:
        values = ((before.columns[name][first], after.columns[name][second]) for first, second in pairs)
        result.fields += _compared(name, values, bootstrap)
    changes = (_change(before, first, after, second) for first, second in pairs)
    _count_changes(result, [change for change in changes if change.difference])
    return result


def _compared(name: str, values: Iterable[tuple[float, float]], settings: BootstrapSettings) -> list[ComparedField]:
    known = [(before, after) for before, after in values if not math.isnan(before + after)]
    if not known:
        return []
    found = paired_bootstrap(
        [after - before for before, after in known],
        num_resamples=settings.num_resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )
    baseline, candidate = (math.fsum(values) / len(known) for values in zip(*known, strict=True))
    return [ComparedField(name, len(known), baseline, candidate, found)]


def _change(before: _Tasks, first: int, after: _Tasks, second: int) -> TaskChange:
    rewards = before.columns["mean_reward"][first], after.columns["mean_reward"][second]
    return TaskChange(before.indices[first], after.indices[second], *rewards)


def _count_changes(result: Comparison, changes: list[TaskChange]) -> None:
    changes.sort(key=lambda change: (change.difference, change.task_index))
    result.better = sum(change.difference > 0 for change in changes)
    result.worse = len(changes) - result.better
    result.most_worse = changes[: min(_MOST_EXTREME, result.worse)]
    result.most_better = changes[::-1][: min(_MOST_EXTREME, result.better)]


def _nothing_in_common(result: Comparison) -> Mistake:
    counts = f"{result.only_in_baseline} tasks only in the baseline, {result.only_in_candidate} only in the candidate"
    what = f"the collections have no task in common: {counts}"
    return Mistake(what, "candidate_jsonl_fpath", fix="compare collections of the same tasks")
