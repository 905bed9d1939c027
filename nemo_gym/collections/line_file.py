"""A JSONL file that is only ever appended to, one whole line at a time; and reading one while it grows."""

import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import msgspec
import orjson

T = TypeVar("T")
Item = TypeVar("Item")


class OutputError(Exception):
    """Output could not be written. What was written before is whole."""


class OutputBusyError(Exception):
    """Another collector writes this file."""


class DamagedFileError(OutputError):
    """A file of a collection holds what no collector has written there."""


class ReadingStopped(Exception):
    """Reading was given up because a stop was asked for."""


class Line(NamedTuple):
    """One line of a file.

    Attributes:
        offset: Byte where it begins.
        end: Byte where the next one begins.
        number: From 1; 0 where it isn't known.
        text: Without surrounding white space.
    """

    path: Path
    offset: int
    end: int
    number: int
    text: bytes

    @property
    def place(self) -> str:
        """The line as an error names it."""
        return f"line {self.number} of {self.path}" if self.number else f"the line at byte {self.offset} of {self.path}"


class LineFile:
    """Opens for appending and locks; changes nothing before `drop_truncated_line` or `append`.

    Raises:
        OutputError: It can't be opened, or isn't a regular file.
        OutputBusyError: Another collector has it open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size: int | None = None
        try:
            # Not blocking: opening a FIFO for writing would wait for a reader.
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o644)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        try:
            self._lock()
        except BaseException:
            os.close(self._fd)
            raise

    def _lock(self) -> None:
        opened = os.fstat(self._fd)
        if not stat.S_ISREG(opened.st_mode):
            raise OutputError(f"cannot write {self.path}: it is not a regular file")
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_moved = not os.path.samestat(opened, os.stat(self.path))
        except (BlockingIOError, FileNotFoundError) as error:
            raise OutputBusyError(str(self.path)) from error
        if is_moved:  # by a collector that starts anew, between our opening and our lock
            raise OutputBusyError(str(self.path))

    def drop_truncated_line(self) -> int:
        """Cut off a last line that isn't whole (kill -9, power); return how many bytes that were.

        A last line that is whole JSON and only lacks its line end is kept, and gets it.
        """
        size = os.fstat(self._fd).st_size
        self._size = end = _end_of_last_line(self._fd, size)
        if end == size:
            return 0
        if is_whole(os.pread(self._fd, size - end, end)):
            self._size = size
            self._write(b"\n")
            return 0
        os.ftruncate(self._fd, end)
        return size - end

    def append(self, record: dict[str, Any]) -> None:
        """Write one line, as `append_line` does; raises TypeError for a record that JSON has no form for."""
        self.append_line(encode_line(record))

    def append_line(self, line: bytes) -> None:
        """Write a line, whole and at once; raises OutputError, with the file cut back to its last whole line."""
        if self._size is None:
            self.drop_truncated_line()
        self._write(line)

    def _write(self, line: bytes) -> None:
        assert self._size is not None
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
        return os.fstat(self._fd).st_size == 0

    def close(self) -> None:
        """Close the file and give up the lock."""
        os.close(self._fd)

    def __enter__(self) -> "LineFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def encode_line(record: dict[str, Any]) -> bytes:
    """Return a record as its line; raises TypeError for one that JSON has no form for, or nested deeper than 254."""
    return orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def iter_lines(path: Path, offset: int = 0, number: int = 1) -> Iterator[Line]:
    """Yield the lines of a file that aren't blank, in order; nothing for a file that isn't there.

    A last line without a line end counts when it is whole JSON; otherwise it is still being written, or was truncated.

    Args:
        path: The file.
        offset: Byte to start at, the beginning of a line.
        number: The number of the line there.

    Raises:
        OSError: The file can't be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        for line in file:
            text, end = line.strip(), offset + len(line)
            if text and (line.endswith(b"\n") or is_whole(text)):
                yield Line(path, offset, end, number, text)
            offset, number = end, number + 1


def line_at(path: Path, offset: int) -> Line:
    """Return the line that begins at a byte offset, with 0 as its number; raises OSError."""
    return next(lines_at(path, [offset]))


def lines_at(path: Path, offsets: Iterable[int]) -> Iterator[Line]:
    """Yield the lines that begin at these byte offsets, as `line_at` does."""
    with path.open("rb") as file:
        for offset in offsets:
            file.seek(offset)
            line = file.readline()
            yield Line(path, offset, offset + len(line), 0, line.strip())


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file in order; nothing for a file that isn't there.

    Raises:
        DamagedFileError: A line isn't a JSON object: the file was damaged from outside.
    """
    return (decoded(line) for line in iter_lines(path))


def decoded(line: Line) -> dict[str, Any]:
    """Return the JSON object of a line; raises DamagedFileError."""
    try:
        record = orjson.loads(line.text)
    except orjson.JSONDecodeError as error:
        raise DamagedFileError(f"{line.place} is damaged: {error}") from error
    if not isinstance(record, dict):
        raise DamagedFileError(f"{line.place} is damaged: a JSON {type(record).__name__}, not an object")
    return record


def decoded_as(decoder: "msgspec.json.Decoder[T]", line: Line) -> T:
    """Return what a decoder makes of a line; raises DamagedFileError."""
    try:
        return decoder.decode(line.text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DamagedFileError(f"{line.place} is damaged: {error}") from error


def is_whole(text: bytes) -> bool:
    """Tell whether a text is one JSON object: the beginning of a longer one never is."""
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def until_stopped(items: Iterable[Item], is_stopped: Callable[[], bool]) -> Iterator[Item]:
    """Yield the items; raises ReadingStopped within 64 of them after a stop."""
    for number, item in enumerate(items, start=1):
        if number % 64 == 0 and is_stopped():
            raise ReadingStopped
        yield item


def _end_of_last_line(fd: int, size: int) -> int:
    block, end = 65_536, size
    while end > 0:
        start = max(0, end - block)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
