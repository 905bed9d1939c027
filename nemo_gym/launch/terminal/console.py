"""What a run prints: lines of its servers and of the launcher, written by a thread of their own.

A reader that stops reading (`ng_run | less`, Ctrl-S at a terminal) stops that thread and nothing else: lines beyond the
bound are dropped and counted. The log files have them all.
"""

import io
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

MAX_WAITING_CHARACTERS = 4 * 2**20
_LAST_LINES_S = 1.0
_COLORS = (36, 32, 35, 33, 34, 96, 92, 95)


class ServerConsole:
    """Prints lines to standard output and never waits for a reader; `close` it at the end.

    What the launcher says is little and never dropped.
    """

    def __init__(self) -> None:
        self._out = sys.stdout
        self._is_terminal = self._out.isatty() if self._out is not None else False
        self._colors: dict[str, int] = {}
        self._waiting: deque[str] = deque()
        self._size = 0
        self._dropped = 0
        self._is_open = self._out is not None
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None

    def __enter__(self) -> "ServerConsole":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def is_terminal(self) -> bool:
        """Tell whether somebody looks at it, rather than a program."""
        return self._is_terminal

    def say(self, server: str, text: str) -> None:
        """Print one line or several; `server` is "" for the launcher. Nothing when nobody reads any more (`| head`)."""
        with self._changed:
            if not self._is_open:
                return
            line = f"{self._label(server)}{text}\n"
            if server and self._size + len(line) > MAX_WAITING_CHARACTERS:
                self._dropped += 1
                return
            self._waiting.append(line)
            self._size += len(line)
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="nemo-gym-console", daemon=True)
                self._writer.start()
            self._changed.notify()

    def close(self) -> None:
        """Print what is still waiting, if somebody reads it within a second; nothing is printed afterwards."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
        if self._writer is not None:
            self._writer.join(_LAST_LINES_S)

    def _write_all(self) -> None:
        try:
            with _writing_to(self._out) as write:
                while text := self._next():
                    write(text)
        except (OSError, ValueError):  # nobody reads, the disk is full, the stream is closed: the log files go on
            with self._changed:
                self._is_open = False

    def _next(self) -> str:
        """Wait for something to print, and return all of it; "" when all is printed and the console is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._dropped or not self._is_open)
            text = "".join(self._waiting)
            self._waiting.clear()
            self._size = 0
            if self._dropped:
                text += f"{self._dropped} lines weren't shown: nobody read them in time; the log files have all lines\n"
                self._dropped = 0
            return text

    def _label(self, server: str) -> str:
        if not server:
            return ""
        if not self._is_terminal:
            return f"[{server}] "
        color = self._colors.setdefault(server, _COLORS[len(self._colors) % len(_COLORS)])
        return f"\033[{color}m[{server}]\033[0m "


@contextmanager
def _writing_to(stream: TextIO) -> Iterator[Callable[[str], None]]:
    """Give a function that writes a text: past `stream` where that is a file.

    A thread blocked inside `sys.stdout`, or inside any buffer, would keep Python from ending.
    """
    encoding = stream.encoding or "utf-8"

    def write_to_stream(text: str) -> None:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()

    def write_to_file(text: str) -> None:
        left = memoryview(text.encode(encoding, "backslashreplace"))
        while left:
            left = left[os.write(fd, left) :]

    try:
        stream.flush()
        fd = os.dup(stream.fileno())
    except io.UnsupportedOperation:  # a test's or a notebook's stream, which isn't a file
        yield write_to_stream
        return
    try:
        yield write_to_file
    finally:
        os.close(fd)
