"""Which Python a program runs by, and what of the host's files it sees at level `namespaces`."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SYSTEM = Path("/usr")
_PROJECT = Path(__file__).resolve().parents[2]
# Ours, with the verifiers and the expected answers; and where images keep the sources of what they are for.
_NOT_FOR_PROGRAMS = (_PROJECT, Path("/usr/src"))
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
        """Return folders inside the visible ones that stay empty."""
        return [str(path) for path in _NOT_FOR_PROGRAMS if path.is_dir() and self.shows(path)]

    def shows(self, path: Path) -> bool:
        """Tell whether the path lies in a visible folder."""
        return any(path.is_relative_to(folder) for folder in (_SYSTEM, *map(Path, self.folders)))

    def python_for_strangers(self) -> str | None:
        """Return an interpreter that every user of this machine may run: ours, else the system's, else None."""
        return next((path for path in (self.python, *_SYSTEM_PYTHONS) if _open_to_all(Path(path))), None)


def view_of(python: str | None, visible: Sequence[str | os.PathLike[str]]) -> View:
    """Return the view with this interpreter (None: the running one without its environment's packages) and folders.

    Raises:
        ValueError: A folder does not exist, or the interpreter lies in none that is visible.
    """
    if missing := [os.fspath(folder) for folder in visible if not os.path.isdir(folder)]:
        raise ValueError(f"no such folder to show to programs: {', '.join(missing)}")
    folders = {os.path.realpath(folder) for folder in (*visible, sys.base_prefix)}
    folders.discard("/")  # the prefix of a few odd builds of Python; it would show the whole host
    outside_system = sorted(folder for folder in folders if not Path(folder).is_relative_to(_SYSTEM))
    view = View(python=python or base_python(), folders=tuple(outside_system))
    if not all(view.shows(Path(path)) for path in (view.python, os.path.realpath(view.python))):
        # Found out later, it would look as if this machine had no namespaces.
        raise ValueError(f"programs would not see their interpreter {view.python}: name its folder in 'visible'")
    return view


def base_python() -> str:
    """Return the interpreter below the virtual environment, if there is one: it needs no file but its own."""
    return os.path.realpath(sys.executable)


def _open_to_all(path: Path) -> bool:
    try:
        real = path.resolve(strict=True)
        return all(part.stat().st_mode & 0o001 for part in (real, *real.parents))
    except OSError:
        return False
