"""Removing what a program left on disk, whatever it did to it."""

import contextlib
import os

_OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm")


def remove_files_of(owner: int) -> None:
    """Remove what a user has left in the folders that are open to all."""
    for folder in filter(os.path.isdir, _OPEN_TO_ALL):
        for entry in os.scandir(folder):
            with contextlib.suppress(OSError):  # removed by another meanwhile
                if entry.stat(follow_symlinks=False).st_uid != owner:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    remove_tree(entry.path)
                else:
                    os.unlink(entry.path)


def remove_tree(path: str) -> None:
    """Remove a folder that a program filled, whatever permissions it set and however deep it nested.

    One step down or up at a time: paths would grow too long, and recursion too deep. What can't be removed stays.
    """
    with contextlib.suppress(OSError):
        names: list[str] = []
        here = _opened(path, None)
        try:
            while (inner := _first_folder(here)) is not None or names:
                if inner is not None:
                    names.append(inner)
                above, here = here, _opened(".." if inner is None else inner, here)
                os.close(above)
                if inner is None:
                    os.rmdir(names.pop(), dir_fd=here)
        finally:
            os.close(here)
        os.rmdir(path)


def _opened(folder: str, where: int | None) -> int:
    os.chmod(folder, 0o700, dir_fd=where)
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=where)


def _first_folder(here: int) -> str | None:
    """Return the name of a folder in here; the files found before are removed."""
    with os.scandir(here) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                return entry.name
            os.unlink(entry.name, dir_fd=here)
    return None
