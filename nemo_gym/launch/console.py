"""The launcher's console: every line with the server's name, in its colour where there is a terminal."""

import sys
import threading

_COLOURS = (36, 32, 35, 33, 34, 96, 92, 95)


class ServerConsole:
    """Prints lines of servers and of the launcher itself to standard error's sibling, standard output."""

    def __init__(self) -> None:
        self._colours: dict[str, int] = {}
        self._is_terminal = sys.stdout.isatty()
        self._lock = threading.Lock()

    def say(self, server: str, text: str) -> None:
        """Print one line; `server` is "" for the launcher."""
        with self._lock:
            sys.stdout.write(f"{self._label(server)}{text}\n")
            sys.stdout.flush()

    def _label(self, server: str) -> str:
        if not server:
            return ""
        if not self._is_terminal:
            return f"[{server}] "
        colour = self._colours.setdefault(server, _COLOURS[len(self._colours) % len(_COLOURS)])
        return f"\033[{colour}m[{server}]\033[0m "
