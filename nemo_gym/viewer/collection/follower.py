"""A collection that is followed: its table grows with its files, and begins anew when they are replaced."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import orjson

from nemo_gym.collections.line_file import Line, iter_lines, line_at
from nemo_gym.collections.manifest import Manifest
from nemo_gym.collections.reading.followed_file import FileChange, FollowedFile
from nemo_gym.collections.reading.reader import CollectionReader
from nemo_gym.collections.reading.repeated_rows import RepeatedRows
from nemo_gym.viewer.collection.locks import is_being_written
from nemo_gym.viewer.collection.row import Row
from nemo_gym.viewer.collection.table import RolloutTable
from nemo_gym.viewer.collection.table_cache import cache_path, load_table, save_table
from nemo_gym.viewer.collection.task_rows import TaskRows

_STEP_BYTES = 8 * 2**20
_CACHED_FROM_BYTES = 16 * 2**20
_RATE_WINDOW_S = 60.0
_CONTINUES = (FileChange.SAME, FileChange.GROWN)


class _Threshold(msgspec.Struct):
    pass_threshold: float = 1.0


@dataclass(frozen=True)
class Look:
    """What a look at the files told. Whoever wants to count rows too looks first: the rows are then at least as new.

    Attributes:
        is_there: There was a rollout file or a manifest.
        is_running: A collector had the rollout file open for writing before it was read on. Where it had not, and
            `is_caught_up` is true, no row is missing.
        is_caught_up: Everything there was has been read.
    """

    is_there: bool = False
    is_running: bool = False
    is_caught_up: bool = False


class Follower:
    """Reads on each time it is asked; any thread may call it.

    Args:
        rollouts: The rollout file; it may be missing yet, or any more.
        keeps_index: Keep the table of a large collection in a hidden file beside it.

    Attributes:
        table: What was read so far. Replaced, not emptied, when the collection begins anew.
        look: What the last look at the files told.
        version: Grows with every change that a page may show.
    """

    def __init__(self, rollouts: Path, *, keeps_index: bool = True) -> None:
        self.reader = CollectionReader(rollouts)
        self.paths = self.reader.paths
        self.task_rows = TaskRows(self.paths.materialized_inputs)
        self.table = RolloutTable()
        self.look = Look()
        self.version = 0
        self._rollouts, self._failures = FollowedFile(self.paths.rollouts), FollowedFile(self.paths.failures)
        self._lock = threading.Lock()
        self._cache = cache_path(rollouts) if keeps_index else None
        self._saved_rows = 0
        self._begun = False
        self._manifest_stamp: tuple[int, int] | None = None
        self._seen: deque[tuple[float, int]] = deque(maxlen=256)

    def refresh(self) -> bool:
        """Read at most about 8 MiB on; return whether there is more to read."""
        with self._lock:
            before = (len(self.table), self.look)
            is_there = self.paths.rollouts.exists() or self.paths.manifest.exists()
            is_running = is_being_written(self.paths.rollouts)
            if not self._begun:
                self._begin()
            if not self._continues():
                self.look = Look(is_there, is_running)  # before the table is emptied: it isn't cut off meanwhile
                self._begin()
                self.version += 1
            if not len(self.table):  # followed from before its first row on: only now is it known what was sent
                self.table.sent = _sent_fields(self.paths.materialized_inputs)
            self._know_rows()
            more = self._read_on(self._rollouts, self.table.add_rollout)
            more = self._read_on(self._failures, self.table.add_failure) or more
            self.look = Look(is_there, is_running, is_caught_up=not more)
            self._note_rate()
            if not more:
                self._save()
            if before != (len(self.table), self.look):
                self.version += 1
            return more

    def catch_up(self) -> None:
        """Read to the end."""
        while self.refresh():
            pass

    @property
    def progress(self) -> float:
        """How much of the rollout file has been read, in [0, 1]."""
        try:
            size = self.paths.rollouts.stat().st_size
        except OSError:
            return 1.0
        return 1.0 if self.look.is_caught_up or not size else min(1.0, self._rollouts.state.size / size)

    @property
    def rate(self) -> float | None:
        """Rollouts settled a second in the last minute; None before two looks at a running collection."""
        seen = list(self._seen)
        if len(seen) < 2 or seen[-1][0] <= seen[0][0]:
            return None
        return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])

    @property
    def manifest(self) -> Manifest | None:
        """What the collection is; None where there is no manifest that can be read."""
        try:
            return self.reader.manifest()
        except Exception:  # damaged, or being replaced: the rollouts can be looked at all the same
            return None

    @property
    def pass_threshold(self) -> float:
        """The reward from which on a rollout solves its task, as the collector's metrics say; else 1.0."""
        try:
            return msgspec.json.decode(self.paths.metrics.read_bytes(), type=_Threshold).pass_threshold
        except (OSError, msgspec.DecodeError):
            return _Threshold().pass_threshold

    def line(self, row: Row) -> Line:
        """Read the line of a row; raises OSError."""
        return line_at(self.paths.failures if row.outcome == "failed" else self.paths.rollouts, row.offset)

    def _begin(self) -> None:
        self._begun = True
        sent = _sent_fields(self.paths.materialized_inputs)
        self._rollouts.forget()
        self._failures.forget()
        self.task_rows.forget()
        self._seen.clear()
        self._manifest_stamp = None
        kept = load_table(self._cache, sent) if self._cache is not None else None
        self.table = RolloutTable(sent)
        if kept is not None:
            table, (self._rollouts.state, self._failures.state) = kept
            if self._continues():
                self.table, self._saved_rows = table, len(table)
                return
            self._rollouts.forget()
            self._failures.forget()

    def _know_rows(self) -> None:
        """Find out which rows are one task, where the manifest is new: it may have a million of them."""
        try:
            status = self.paths.manifest.stat()
            stamp = (status.st_ino, status.st_mtime_ns)
        except OSError:
            stamp = (0, 0)
        if stamp != self._manifest_stamp:
            self._manifest_stamp, self.table.rows = stamp, RepeatedRows(self.manifest)

    def _continues(self) -> bool:
        changes = {file: file.change() for file in (self._rollouts, self._failures)}
        # A file that never was there hasn't vanished.
        return all(change in _CONTINUES or not file.state.inode for file, change in changes.items())

    def _read_on(self, file: FollowedFile, take: Callable[[Line], None]) -> bool:
        if file.change() is not FileChange.GROWN:
            return False
        before = file.state.size
        for line in file.read_on(_STEP_BYTES):
            take(line)
        return file.state.size - before >= _STEP_BYTES

    def _note_rate(self) -> None:
        now = time.monotonic()
        if not self.look.is_caught_up or not self.look.is_running:
            self._seen.clear()
            return
        while self._seen and now - self._seen[0][0] > _RATE_WINDOW_S:
            self._seen.popleft()
        self._seen.append((now, self.table.num_settled))

    def _save(self) -> None:
        # Not after every row: a large collection that grows would be written again and again.
        enough = len(self.table) > self._saved_rows * 1.1 or not self.look.is_running
        large = self._rollouts.state.size >= _CACHED_FROM_BYTES
        if self._cache is not None and large and enough and len(self.table) != self._saved_rows:
            save_table(self.table, [self._rollouts.state, self._failures.state], self._cache)
            self._saved_rows = len(self.table)


def _sent_fields(materialized_inputs: Path) -> frozenset[str]:
    """Return the names of a task row's fields; none where it isn't known what was sent."""
    try:
        for line in iter_lines(materialized_inputs):
            row = orjson.loads(line.text)
            return frozenset(row) if isinstance(row, dict) else frozenset()
    except (OSError, orjson.JSONDecodeError):
        pass
    return frozenset()
