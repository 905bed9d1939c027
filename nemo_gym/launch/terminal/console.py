"""What a run prints: lines of its servers and of the launcher, written by a thread of their own.

A reader that stops reading (`ng_run | less`, Ctrl-S at a terminal) stops that thread and nothing else: lines beyond the
bound are dropped and counted. The log files have them all.
"""

import os
import sys
import threading
from collections import deque
from types import TracebackType
from typing import TextIO

MAX_WAITING_CHARACTERS = 4 * 2**20
_LAST_LINES_S = 1.0
_COLOURS = (36, 32, 35, 33, 34, 96, 92, 95)


class ServerConsole:
    """Prints lines to standard output and never waits for a reader; `close` it at the end.

    What the launcher says is little and never dropped.
    """

    def __init__(self) -> None:
        self._out = sys.stdout
        self._is_terminal = self._out.isatty() if self._out is not None else False
        self._colours: dict[str, int] = {}
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
        """Print what waits, as far as somebody reads it within a second; nothing is printed afterwards."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
        if self._writer is not None:
            self._writer.join(_LAST_LINES_S)

    def _write_all(self) -> None:
        out = _unbuffered(self._out)
        try:
            while text := self._next():
                encoding = self._out.encoding or "utf-8"
                out.write(text.encode(encoding, "backslashreplace").decode(encoding))
                out.flush()
        except (OSError, ValueError):  # nobody reads, or the stream is closed: the log files go on
            with self._changed:
                self._is_open = False
        finally:
            if out is not self._out:
                out.close()

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
        colour = self._colours.setdefault(server, _COLOURS[len(self._colours) % len(_COLOURS)])
        return f"\033[{colour}m[{server}]\033[0m "


def _unbuffered(stream: TextIO) -> TextIO:
    """Return a stream of its own for the same file: a thread blocked inside `sys.stdout` keeps Python from ending."""
    try:
        stream.flush()
        fd = os.dup(stream.fileno())
    except (OSError, ValueError):  # a test's or a notebook's stream, which isn't a file
        return stream
    return open(fd, "w", encoding=stream.encoding, errors=stream.errors, newline="\n")
