"""Which Python runs a program, and which of the host's files it sees at level `namespaces`."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")

_SYSTEM = Path("/usr")
_PROJECT = Path(__file__).resolve().parents[2]
# Ours, with the verifiers and the expected answers; and where images keep the sources of what they are for.
_NOT_FOR_PROGRAMS = (_PROJECT, Path("/usr/src"))


@dataclass(frozen=True)
class FilesystemView:
    """What a program gets to see.

    Attributes:
        python: Absolute path of the interpreter.
        python_is_chosen: Whether the caller named it, so that no other one will do.
        folders: Host folders shown read-only at their own place, beside `/usr` and the system's libraries.
    """

    python: str
    python_is_chosen: bool
    folders: tuple[str, ...]

    def hidden(self) -> list[str]:
        """Return folders inside the visible ones that stay empty."""
        return [str(path) for path in _NOT_FOR_PROGRAMS if path.is_dir() and self.shows(path)]

    def shows(self, path: str | os.PathLike[str]) -> bool:
        """Tell whether the path lies in a visible folder."""
        return any(Path(path).is_relative_to(folder) for folder in (_SYSTEM, *map(Path, self.folders)))


def filesystem_view(python: str | None = None, visible: Sequence[str | os.PathLike[str]] = ()) -> FilesystemView:
    """Return the view with this interpreter (None: the running one without its environment's packages) and folders.

    Raises:
        ValueError: A folder does not exist, or the interpreter lies in none that is visible.
    """
    if missing := [os.fspath(folder) for folder in visible if not os.path.isdir(folder)]:
        raise ValueError(f"no such folder to show to programs: {', '.join(missing)}")
    folders = {os.path.realpath(folder) for folder in (*visible, sys.base_prefix)}
    folders.discard("/")  # the prefix of a few odd builds of Python; it would show the whole host
    outside_system = sorted(folder for folder in folders if not Path(folder).is_relative_to(_SYSTEM))
    view = FilesystemView(python or base_python(), python is not None, tuple(outside_system))
    if not all(map(view.shows, (view.python, os.path.realpath(view.python), base_python()))):
        # Found out later, it would look as if this machine had no namespaces.
        raise ValueError(f"programs would not see their interpreter {view.python}: name its folder in 'visible'")
    return view


def base_python() -> str:
    """Return the interpreter below the virtual environment, if there is one: it needs no file but its own."""
    return os.path.realpath(sys.executable)
