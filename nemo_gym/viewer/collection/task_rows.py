"""The task rows of a collection, as they were sent: found by task index."""

import threading
from pathlib import Path
from typing import Any

import msgspec
import orjson

from nemo_gym.collections.line_file import line_at
from nemo_gym.collections.reading.followed_file import FileChange, FollowedFile
from nemo_gym.collections.reading.paged_array import PagedArray
from nemo_gym.collections.records import TASK_INDEX_KEY


class _Place(msgspec.Struct, rename={"task": TASK_INDEX_KEY}):
    task: int


_PLACES = msgspec.json.Decoder(_Place)


class TaskRows:
    """Finds task rows in the materialized inputs, which are read when the first row is looked for."""

    def __init__(self, path: Path) -> None:
        self._file = FollowedFile(path)
        self._lock = threading.Lock()
        self._offsets = PagedArray("Q")

    def forget(self) -> None:
        """Begin anew: the file may be another one."""
        with self._lock:
            self._file.forget()
            self._offsets = PagedArray("Q")

    def find(self, task: int) -> dict[str, Any] | None:
        """Return the row of a task as it was first sent; None where it isn't known."""
        with self._lock:
            try:
                self._read_on()
                place = int(self._offsets[task])
                row = orjson.loads(line_at(self._file.path, place - 1).text) if place else None
            except (OSError, ValueError):
                return None
        return row if isinstance(row, dict) and row.get(TASK_INDEX_KEY) == task else None

    def _read_on(self) -> None:
        change = self._file.change()
        if change in (FileChange.REPLACED, FileChange.TRUNCATED):
            self._file.forget()
            self._offsets = PagedArray("Q")
        if change in (FileChange.SAME, FileChange.VANISHED):
            return
        for line in self._file.read_on():
            try:
                task = _PLACES.decode(line.text).task
            except (msgspec.DecodeError, RecursionError):
                continue
            if task >= 0 and not self._offsets[task]:
                self._offsets[task] = line.offset + 1
