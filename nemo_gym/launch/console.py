"""The launcher's console: every line with the server's name, in its colour where there is a terminal."""

import sys
import threading

_COLOURS = (36, 32, 35, 33, 34, 96, 92, 95)


class ServerConsole:
    """Prints lines of servers and of the launcher itself to standard output."""

    def __init__(self) -> None:
        self._colours: dict[str, int] = {}
        self._is_terminal = sys.stdout.isatty()
        self._is_open = True
        self._lock = threading.Lock()

    def say(self, server: str, text: str) -> None:
        """Print one line; `server` is "" for the launcher. Nothing when nobody reads any more (`| head`)."""
        with self._lock:
            if not self._is_open:
                return
            try:
                self._write(f"{self._label(server)}{text}\n")
            except OSError:
                self._is_open = False  # a server must not stop because its console is gone; its log file goes on

    def _write(self, line: str) -> None:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()

    def _label(self, server: str) -> str:
        if not server:
            return ""
        if not self._is_terminal:
            return f"[{server}] "
        colour = self._colours.setdefault(server, _COLOURS[len(self._colours) % len(_COLOURS)])
        return f"\033[{colour}m[{server}]\033[0m "
