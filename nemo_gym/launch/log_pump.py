"""A server's output: every line into its log file, and onto the console with the server's name."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

TAIL_LINES = 30
_MAX_LINE_BYTES = 16_384


class LogPump:
    """Moves lines from a pipe to a file and to `show`; remembers the last `TAIL_LINES`."""

    def __init__(self, path: Path, show: Callable[[str], None]) -> None:
        self.path = path
        self._show = show
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    async def run(self, stream: asyncio.StreamReader) -> None:
        """Pump until the stream ends. Overlong lines are broken, so that none is lost."""
        rest = b""
        with self.path.open("ab", buffering=0) as file:
            while chunk := await stream.read(65_536):
                with contextlib.suppress(OSError):  # a full disk must not stop a server whose pipe nobody empties
                    file.write(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._line(line)
                if len(rest) > _MAX_LINE_BYTES:
                    self._line(rest)
                    rest = b""
        if rest:
            self._line(rest)

    def _line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        self.tail.append(text)
        self._show(text)
