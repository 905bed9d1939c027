"""A server's output: every line into its log file, and onto the console with the server's name."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from nemo_gym.wire.scrubber import KNOWN_SECRETS

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
                *lines, rest = (rest + chunk).split(b"\n")
                if lines:
                    self._take(b"\n".join((*lines, b"")), file)
                if len(rest) > _MAX_LINE_BYTES:
                    self._take(rest, file)
                    rest = b""
            if rest:
                self._take(rest, file)

    def _take(self, output: bytes, file: BinaryIO) -> None:
        # Servers take secrets out of what they log; what is printed past that, or before they know any, is caught here.
        text = output.decode("utf-8", "replace")
        clean = KNOWN_SECRETS.text(text)
        with contextlib.suppress(OSError):  # a full disk must not stop a server whose pipe nobody empties
            file.write(output if clean == text else clean.encode())
        for line in clean.removesuffix("\n").split("\n"):
            self.tail.append(line.rstrip("\r"))
            self._show(line.rstrip("\r"))
