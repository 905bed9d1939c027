"""Files that get their names when they are complete, all of them together; and what may become one."""

import contextlib
import errno
import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from nemo_gym.collections.files import make_folder, sync_folder, what_it_is
from nemo_gym.collections.line_file import OutputBusyError, OutputError
from nemo_gym.config.errors import ConfigError, Mistake

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Drafts:
    """Files under hidden names, beside the ones they will have. What isn't published is removed at the end.

    A draft that a killed process left is overwritten by the next one.

    Raises:
        OutputError: From the end of the block: no room was left for what was written.
    """

    def __init__(self) -> None:
        self._files: dict[Path, BufferedRandom] = {}
        self._descriptions: list[Path] = []

    def open(self, path: Path, *, is_description: bool = False) -> BufferedRandom:
        """Begin the draft of `path`, for writing and for reading what was written.

        Args:
            path: The file's name once it is published.
            is_description: It describes the other files. It never stands beside others than those: an old one is
                removed before they are replaced, and this one gets its name after them.

        Raises:
            OutputError: It can't be written.
            OutputBusyError: Another process is writing the same file.
        """
        make_folder(path.parent)
        try:
            fd = _locked(draft_path(path))
        except BlockingIOError as error:
            raise OutputBusyError(str(path)) from error
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        file = self._files[path] = cast(BufferedRandom, os.fdopen(fd, "w+b", buffering=1 << 20))
        if is_description:
            self._descriptions.append(path)
        return file

    def publish(self) -> None:
        """Give every file its name, after all of them are on disk; raises OutputError.

        Ctrl-C and SIGTERM come before or after. Killed in between, a process leaves files that are whole, some of them
        without the one that describes them.
        """
        try:
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
            with _uninterrupted():
                for path in self._descriptions:
                    path.unlink(missing_ok=True)
                for path in sorted(self._files, key=self._descriptions.__contains__):
                    draft_path(path).replace(path)
            for folder in {path.parent for path in self._files}:
                sync_folder(folder)
        except OSError as error:
            raise self._error(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path, file in self._files.items():
            draft_path(path).unlink(missing_ok=True)  # before the lock is given up: it may be another's right after
            with contextlib.suppress(OSError):  # a full disk: what is in the buffer needn't be written
                file.close()
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise self._error(error) from error

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {', '.join(map(str, self._files))}: {error.strerror}")


def draft_path(path: Path) -> Path:
    """Return the hidden name under which a file is written."""
    return path.with_name(f".{path.name}.new")


def _locked(draft: Path) -> int:
    """Open an empty draft that nobody else has; raises BlockingIOError, OSError."""
    fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Published between our opening and our lock, it would be another's finished file.
        if not draft.exists() or not os.path.samestat(os.fstat(fd), draft.stat()):
            raise BlockingIOError
        os.ftruncate(fd, 0)
    except BaseException:
        os.close(fd)
        raise
    return fd


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C and SIGTERM to the end of the block."""
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    arrived: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: arrived.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for late in arrived:
        signal.raise_signal(late)


def check_new_file(path: Path, where: str, *, overwrite: bool, inputs: tuple[Path, ...] = ()) -> None:
    """Raise ConfigError for an output that exists (unless it may be replaced), isn't a file, or is one of the inputs.

    Args:
        path: The output.
        where: The parameter that names it.
        overwrite: A regular file may be replaced.
        inputs: Files that are read, compared by what they are and not by name.
    """
    kind = what_it_is(path)
    if kind == "missing":
        return
    if any(other.exists() and path.samefile(other) for other in inputs):
        what = f"{path} is an input, or a file of the collection: it would be overwritten"
        raise ConfigError(Mistake(what, where=where, fix="name another output"))
    if kind != "a regular file":
        raise ConfigError(Mistake(f"{path} is {kind}, not a regular file", where=where, fix="name another output"))
    if not overwrite:
        raise ConfigError(Mistake(f"{path} exists", where=where, fix="+overwrite=true replaces it"))
