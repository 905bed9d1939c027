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
            os.ftruncate(self._fd, self._size)  # needs no room, unlike everything else on a full disk
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        self._size += len(line)

    def sync(self) -> None:
        """Make what was written survive a power cut; raises OutputError."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error

    @property
    def is_empty(self) -> bool:
        """Tell whether the file holds nothing."""
        return self._size == 0

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
    """Yield the records of a file in order; nothing for a file that is not there.

    Raises:
        OutputError: A line is no JSON object: the file was damaged from outside.
    """
    return (record for _, record in read_placed_lines(path))


def read_placed_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (byte offset, record) for each line of a file, as `read_lines` does."""
    if not path.exists():
        return
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                yield offset, _decoded(line, path, number)
            offset += len(line)


def read_line_at(path: Path, offset: int) -> dict[str, Any]:
    """Return the record whose line begins at a byte offset."""
    with path.open("rb") as file:
        file.seek(offset)
        return _decoded(file.readline(), path, 0)


def _decoded(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise OutputError(f"line {number} of {path} is damaged: {error}") from error
    if not isinstance(record, dict):
        raise OutputError(f"line {number} of {path} is damaged: a JSON {type(record).__name__}, not an object")
    return record


def _end_of_last_line(fd: int, size: int) -> int:
    block, end = 65_536, size
    while end > 0:
        start = max(0, end - block)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
