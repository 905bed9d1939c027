"""Which Python a program runs by, and what of the host's files it sees at level `namespaces`."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SYSTEM = Path("/usr")
_PROJECT = Path(__file__).resolve().parents[2]
_SYSTEM_PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")


@dataclass(frozen=True)
class View:
    """What a program gets to see.

    Attributes:
        python: Absolute path of the interpreter.
        folders: Host folders shown read-only at their own place, beside `/usr` and the system's libraries.
    """

    python: str
    folders: tuple[str, ...]

    def hidden(self) -> list[str]:
        """Return folders inside the visible ones that stay empty: ours, with the verifiers and the expected answers."""
        shown = (_SYSTEM, *map(Path, self.folders))
        return [str(_PROJECT)] if any(_PROJECT.is_relative_to(folder) for folder in shown) else []

    def python_for_strangers(self) -> str | None:
        """Return an interpreter that every user of this machine may run: ours, else the system's, else None."""
        return next((path for path in (self.python, *_SYSTEM_PYTHONS) if _open_to_all(Path(path))), None)


def view_of(python: str | None, visible: Sequence[str | os.PathLike[str]]) -> View:
    """Return the view with this interpreter (None: the running one without its environment's packages) and folders."""
    folders = {os.path.realpath(folder) for folder in visible}
    if python is None and not Path(sys.base_prefix).is_relative_to(_SYSTEM):
        folders.add(os.path.realpath(sys.base_prefix))
    return View(python=python or base_python(), folders=tuple(sorted(folders)))


def base_python() -> str:
    """Return the interpreter below the virtual environment, if there is one: it needs no file but its own."""
    return os.path.realpath(sys.executable)


def _open_to_all(path: Path) -> bool:
    try:
        real = path.resolve(strict=True)
        return all(part.stat().st_mode & 0o001 for part in (real, *real.parents))
    except OSError:
        return False
