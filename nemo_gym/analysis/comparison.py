"""Two collections of the same tasks, compared task by task."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from nemo_gym.analysis.bootstrap import Difference, paired_bootstrap
from nemo_gym.analysis.task_profile import ProfileSettings, TaskProfile, profile_tasks
from nemo_gym.collections.identity import ROW_DIGEST_BYTES
from nemo_gym.collections.reading.reader import CollectionReader
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
    """A task whose mean reward differs."""

    task_index: int
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
        different_tasks: Indices at which the two collections have different task rows, which aren't compared.
        tasks_known: Whether both manifests say which tasks they are; else they are paired by index on trust.
        better: Tasks with a higher mean reward in the candidate.
        worse: With a lower one.
        fields: Each compared field.
        most_worse: The tasks that lost most, at most 20, worst first.
        most_better: The tasks that gained most, likewise.
    """

    paired: int = 0
    only_in_baseline: int = 0
    only_in_candidate: int = 0
    different_tasks: int = 0
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


class _Values:
    def __init__(self) -> None:
        self.baseline, self.candidate = array("d"), array("d")

    def add(self, baseline: float | None, candidate: float | None) -> None:
        if baseline is not None and candidate is not None:
            self.baseline.append(baseline)
            self.candidate.append(candidate)

    def compared(self, name: str, settings: BootstrapSettings) -> ComparedField:
        n = len(self.baseline)
        differences = [after - before for before, after in zip(self.baseline, self.candidate, strict=True)]
        found = paired_bootstrap(
            differences, num_resamples=settings.num_resamples, confidence=settings.confidence, seed=settings.seed
        )
        return ComparedField(name, n, sum(self.baseline) / n, sum(self.candidate) / n, found)


def compare(
    baseline: CollectionReader, candidate: CollectionReader, profile: ProfileSettings, bootstrap: BootstrapSettings
) -> Comparison:
    """Compare two collections, both with a refreshed index; takes some tens of bytes for each task.

    Raises:
        ConfigError: They have no task in common.
        DamagedFileError: A file of theirs holds something else.
    """
    result, changes = Comparison(), []
    same_task = _TaskIdentity(baseline, candidate)
    result.tasks_known = same_task.is_known
    values = {name: _Values() for name in COMPARED}
    for before, after in _joined(profile_tasks(baseline, profile), profile_tasks(candidate, profile)):
        if before is None or not before.n:
            result.only_in_candidate += after is not None and after.n > 0
        elif after is None or not after.n:
            result.only_in_baseline += 1
        elif not same_task(before.task_index):
            result.different_tasks += 1
        else:
            result.paired += 1
            for name, of_field in values.items():
                of_field.add(getattr(before, name), getattr(after, name))
            if (change := _change(before, after)).difference:
                changes.append(change)
    if not result.paired:
        raise ConfigError(_nothing_in_common(result))
    result.fields = [of_field.compared(name, bootstrap) for name, of_field in values.items() if of_field.baseline]
    _count_changes(result, changes)
    return result


def _change(before: TaskProfile, after: TaskProfile) -> TaskChange:
    return TaskChange(before.task_index, before.mean_reward or 0.0, after.mean_reward or 0.0)


def _count_changes(result: Comparison, changes: list[TaskChange]) -> None:
    changes.sort(key=lambda change: (change.difference, change.task_index))
    result.better = sum(change.difference > 0 for change in changes)
    result.worse = len(changes) - result.better
    result.most_worse = changes[: min(_MOST_EXTREME, result.worse)]
    result.most_better = changes[::-1][: min(_MOST_EXTREME, result.better)]


def _nothing_in_common(result: Comparison) -> Mistake:
    counts = f"{result.only_in_baseline} tasks only in the baseline, {result.only_in_candidate} only in the candidate"
    what = f"the collections have no task in common: {counts}, {result.different_tasks} whose rows differ"
    return Mistake(what, "candidate_jsonl_fpath", fix="compare collections of the same task file")


class _TaskIdentity:
    """Whether both collections have the same task at an index, by the digests of its row in their manifests."""

    def __init__(self, baseline: CollectionReader, candidate: CollectionReader) -> None:
        manifests = [reader.manifest() for reader in (baseline, candidate)]
        self._digests = [each.task_digests() for each in manifests if each is not None]
        self.is_known = len(self._digests) == 2 and all(self._digests)

    def __call__(self, task_index: int) -> bool:
        place = slice(task_index * ROW_DIGEST_BYTES, (task_index + 1) * ROW_DIGEST_BYTES)
        return not self.is_known or self._digests[0][place] == self._digests[1][place]


def _joined(
    baseline: Iterator[TaskProfile], candidate: Iterator[TaskProfile]
) -> Iterator[tuple[TaskProfile | None, TaskProfile | None]]:
    """Yield the profiles of each task in either, by task index; None where one has none."""
    before, after = next(baseline, None), next(candidate, None)
    while before is not None or after is not None:
        is_first = before is not None and (after is None or before.task_index <= after.task_index)
        is_second = after is not None and (before is None or after.task_index <= before.task_index)
        yield before if is_first else None, after if is_second else None
        before = next(baseline, None) if is_first else before
        after = next(candidate, None) if is_second else after
