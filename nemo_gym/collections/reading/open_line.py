"""A last line without its line end, looked at again and again while it is written: only what is new of it is read."""

from pathlib import Path
from typing import BinaryIO

_BLOCK_BYTES = 2**20
_SAMPLE_BYTES = 4_096


class OpenLine:
    """What is known of the line that begins at one place of a file, as long as it has no line end."""

    def __init__(self) -> None:
        self._start = -1
        self._searched = self._parsed_at = 0
        self._last = b""

    def note(self, path: Path, start: int, searched: int) -> None:
        """Remember that the line from `start` on was read: it has no line end before `searched`, and isn't whole JSON.

        Raises:
            OSError: The file can't be read.
        """
        self._start, self._searched = start, max(start, searched)
        self._parsed_at = self._searched
        with path.open("rb") as file:
            file.seek(max(start, self._searched - _SAMPLE_BYTES))
            self._last = file.read(self._searched - file.tell())

    def is_worth_reading(self, path: Path, start: int) -> bool:
        """Tell whether the line from `start` on should be read: it isn't known, has ended, or may be whole JSON.

        Raises:
            OSError: The file can't be read.
        """
        if start != self._start:
            return True
        before = self._searched
        with path.open("rb") as file:
            if not self._is_as_before(file) or self._finds_line_end(file):
                return True
        # Parsed again only when it has doubled or its writer pauses, so that the cost grows with its length alone.
        has_doubled = self._searched - start >= 2 * (self._parsed_at - start)
        is_time = has_doubled or self._searched == before
        return is_time and self._searched > self._parsed_at and self._last.rstrip().endswith(b"}")

    def _is_as_before(self, file: BinaryIO) -> bool:
        """Tell whether the file still has what was read: a collector that resumes cuts off a truncated line."""
        file.seek(self._searched - len(self._last))
        return file.read(len(self._last)) == self._last

    def _finds_line_end(self, file: BinaryIO) -> bool:
        while block := file.read(_BLOCK_BYTES):
            if b"\n" in block:
                return True
            self._searched += len(block)
            self._last = (self._last + block)[-_SAMPLE_BYTES:]
        return False
