"""A file that others append to: what was read of it, and how it has changed since."""

import enum
import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nemo_gym.collections.line_file import Line, iter_lines
from nemo_gym.collections.reading.open_line import OpenLine

_SAMPLE_BYTES = 4_096


class FileChange(enum.Enum):
    """How a file compares with what was known of it."""

    SAME = "same"
    GROWN = "grown"
    REPLACED = "replaced"
    TRUNCATED = "truncated"
    VANISHED = "vanished"


class FileState(msgspec.Struct):
    """What identifies the part of a file that was read.

    Attributes:
        size: Bytes that were read, up to the end of a line.
        lines: Lines in them.
        sample: Digest of the first bytes of the file and of the last ones before `size`.
    """

    size: int = 0
    lines: int = 0
    inode: int = 0
    mtime_ns: int = 0
    sample: str = ""


class FollowedFile:
    """A JSONL file that grows. `state` may be set to what an earlier process knew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = FileState()
        self._open_line = OpenLine()

    def change(self) -> FileChange:
        """Return how the file compares with what was read of it; raises OSError when it can't be read."""
        state = self.state
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return FileChange.VANISHED
        if not state.inode:
            return FileChange.GROWN
        if status.st_ino != state.inode:
            return FileChange.REPLACED
        if status.st_size < state.size:
            return FileChange.TRUNCATED
        if (status.st_size, status.st_mtime_ns) == (state.size, state.mtime_ns):
            return FileChange.SAME
        return FileChange.GROWN if _sample(self.path, state.size) == state.sample else FileChange.REPLACED

    def forget(self) -> None:
        """Begin anew: the next line read is the first."""
        self.state, self._open_line = FileState(), OpenLine()

    def read_on(self, max_bytes: int | None = None) -> Iterator[Line]:
        """Yield the whole lines that were not read yet; all of them, or as many as begin within `max_bytes`.

        What was yielded counts as read when the iterator is exhausted.
        """
        state = self.state
        if not self._open_line.is_worth_reading(self.path, state.size):
            return
        status = self.path.stat()
        size, lines = state.size, state.lines
        for line in iter_lines(self.path, size, lines + 1):
            # White space before the text and the line end after it don't matter: blank lines are skipped.
            size, lines = line.end, line.number
            yield line
            if max_bytes is not None and size - state.size >= max_bytes:
                break
        else:
            self._open_line.note(self.path, size, status.st_size)
        self.state = FileState(size, lines, status.st_ino, status.st_mtime_ns, _sample(self.path, size))


def _sample(path: Path, size: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        digest.update(file.read(min(size, _SAMPLE_BYTES)))
        file.seek(max(0, size - _SAMPLE_BYTES))
        digest.update(file.read(min(size, _SAMPLE_BYTES)))
    return digest.hexdigest()
