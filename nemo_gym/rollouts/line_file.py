"""A JSONL file that is only ever appended to, one whole line at a time."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson


class OutputError(Exception):
    """Output could not be written. What was written before is whole."""


class OutputBusyError(Exception):
    """Another collector writes this file."""


class LineFile:
    """Opens for appending and locks; a torn last line (kill -9, power) is cut off first.

    Attributes:
        torn_bytes: How many bytes of a torn line were cut off when opening.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._fd)
            raise OutputBusyError(str(path)) from error
        self.torn_bytes = self._cut_torn_line()

    def append(self, record: dict[str, Any]) -> None:
        """Write one line, whole and at once; raises OutputError, with the file cut back to its last whole line."""
        line = orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
        written = 0
        try:
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError as error:
            os.ftruncate(self._fd, self._size)
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        self._size += len(line)

    def sync(self) -> None:
        """Make what was written survive a power cut."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file and give up the lock."""
        os.close(self._fd)

    def __enter__(self) -> "LineFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cut_torn_line(self) -> int:
        size = os.fstat(self._fd).st_size
        whole = _end_of_last_line(self._fd, size)
        if whole != size:
            os.ftruncate(self._fd, whole)
        self._size = whole
        return size - whole


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file in order; nothing for a file that is not there."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield orjson.loads(line)


def _end_of_last_line(fd: int, size: int) -> int:
    block, end = 65_536, size
    while end > 0:
        start = max(0, end - block)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
