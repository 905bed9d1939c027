"""Reading a collection, or a rollout file alone: one record at a time, also while a collector still writes it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from nemo_gym.collections.files import OutputPaths, what_it_is
from nemo_gym.collections.line_file import DamagedFileError, Line, decoded, decoded_as, iter_lines, line_at, lines_at
from nemo_gym.collections.manifest import Manifest
from nemo_gym.collections.metrics.metrics import MetricsRecord
from nemo_gym.collections.reading.followed_file import FileChange
from nemo_gym.collections.reading.index import HEADS, IndexEntry, OutcomeName, RolloutIndex
from nemo_gym.collections.reading.paged_array import ByRollout, PagedArray
from nemo_gym.collections.reading.repeated_rows import RepeatedRows
from nemo_gym.collections.records import FailureRecord, JournalEvent, UnverifiedRecord

__all__ = ["CollectionReader", "FileChange", "IndexEntry", "RolloutIndex", "StoredRollout", "stored_rollout"]

Model = TypeVar("Model", bound=BaseModel)
_JOURNAL: TypeAdapter[Any] = TypeAdapter(JournalEvent)


@dataclass(frozen=True)
class StoredRollout:
    """One row of a rollout file, decoded only as far as it is asked for.

    Attributes:
        line: The line it was read from.
        task_index: Row in the input, from 0; None in a file that no collector wrote.
        rollout_index: Repeat, from 0; None likewise.
        reward: None likewise.
        outcome: scored, masked, or no_reward.
        failure_kind: Why it is masked, as the row says; usually text.
    """

    line: Line
    task_index: int | None
    rollout_index: int | None
    reward: float | None
    outcome: OutcomeName
    failure_kind: Any = None

    @property
    def offset(self) -> int:
        """Byte where its line begins."""
        return self.line.offset

    @property
    def row(self) -> dict[str, Any]:
        """The whole row, decoded anew each time; raises DamagedFileError."""
        return decoded(self.line)


def stored_rollout(line: Line) -> StoredRollout:
    """Return the rollout of a line; raises DamagedFileError when it isn't one."""
    head = decoded_as(HEADS, line)
    return StoredRollout(line, head.task_index, head.rollout_index, head.reward, head.outcome, head.failure_kind)


class CollectionReader:
    """Reads the files of a collection. Files beside the rollouts may be missing: then there are no such records.

    Args:
        rollouts: The rollout file.
        keeps_index: Keep the index of a large file in a hidden file beside it, so that it opens quickly the next time.

    Every method that reads raises `DamagedFileError`, with file and line, for what no collector wrote, and OSError
    for a file that can't be read.
    """

    def __init__(self, rollouts: Path, *, keeps_index: bool = False) -> None:
        self.paths = OutputPaths(rollouts)
        self.index = RolloutIndex(rollouts, self.paths.index if keeps_index else None)

    def lines(self) -> Iterator[Line]:
        """Yield the lines of the rollout file, whatever they hold."""
        return _lines(self.paths.rollouts)

    def rollouts(self) -> Iterator[StoredRollout]:
        """Yield the rollouts in file order, which is the order in which they ended."""
        return map(stored_rollout, self.lines())

    def rollout_at(self, offset: int) -> StoredRollout:
        """Return the rollout whose line begins at a byte offset."""
        return stored_rollout(line_at(self.paths.rollouts, offset))

    def find(self, task_index: int, rollout_index: int) -> StoredRollout | None:
        """Return the rollout of a task and repeat as far as the index has been refreshed, or None."""
        entry = self.index.find(task_index, rollout_index)
        return None if entry is None else self.rollout_at(entry.offset)

    def by_task(self) -> Iterator[tuple[IndexEntry, StoredRollout]]:
        """Yield the last rollout of each place, by task and repeat, as far as the index has been refreshed.

        Rows of the task file that say the same as the one before them are repeats of its task: the entry has the index
        of the first, and its repeats are counted on.
        """
        offsets = (entry.offset for entry in self.index.by_place())
        lines = lines_at(self.paths.rollouts, offsets)
        entries = map(RepeatedRows(self.manifest()).as_repeat, self.index.by_place())
        return zip(entries, map(stored_rollout, lines), strict=True)

    def failures(self) -> Iterator[FailureRecord]:
        """Yield the failures, also those that a later start has made good."""
        return (validated(FailureRecord, line) for line in _lines(self.paths.failures))

    def failed_by_task(self) -> PagedArray:
        """Return how many repeats of each task have a failure and no rollout; wants a refreshed index.

        Tasks are those of `by_task`.
        """
        counted, by_task, rows = ByRollout("B"), PagedArray("I"), RepeatedRows(self.manifest())
        for record in self.failures():
            place = (record.task_index, record.rollout_index)
            if place not in counted and self.index.find(*place) is None:
                counted[place] = 1
                by_task.add(rows.first(record.task_index), 1)
        return by_task

    def journal(self) -> Iterator[JournalEvent]:
        """Yield the events in the order in which they happened."""
        for line in _lines(self.paths.journal):
            try:
                event: JournalEvent = _JOURNAL.validate_python(decoded(line))
            except ValidationError as error:
                raise _damaged(line, error) from error
            yield event

    def unverified(self) -> Iterator[UnverifiedRecord]:
        """Yield the trajectories whose verification failed, also those that were verified since."""
        return (validated(UnverifiedRecord, line) for line in _lines(self.paths.unverified))

    def manifest(self) -> Manifest | None:
        """Return what the collection is; None for a rollout file alone."""
        return _read_json(self.paths.manifest, Manifest)

    def metrics(self) -> MetricsRecord | None:
        """Return the metrics as of the collector's last end; None before the first."""
        return _read_json(self.paths.metrics, MetricsRecord)


def _lines(path: Path) -> Iterator[Line]:
    kind = what_it_is(path)
    if kind not in ("a regular file", "missing"):
        raise DamagedFileError(f"{path} is {kind}, not a regular file")
    return iter_lines(path)


def validated(model: type[Model], line: Line) -> Model:
    """Return the record of a line; raises DamagedFileError when it is not one of the model."""
    try:
        return model.model_validate(decoded(line))
    except ValidationError as error:
        raise _damaged(line, error) from error


def _damaged(line: Line, error: ValidationError) -> DamagedFileError:
    return DamagedFileError(f"{line.place} is damaged: {first_mistake(error)}")


def _read_json(path: Path, model: type[Model]) -> Model | None:
    try:
        return model.model_validate(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (orjson.JSONDecodeError, ValidationError) as error:
        reason = first_mistake(error) if isinstance(error, ValidationError) else str(error)
        raise DamagedFileError(f"{path} is damaged: {reason}") from error


def first_mistake(error: ValidationError) -> str:
    """Return the first mistake that pydantic found, in one line."""
    detail = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, detail["loc"]))
    return f"{place}: {detail['msg']}" if place else str(detail["msg"])
