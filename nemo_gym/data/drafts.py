"""Files that get their names when they are complete, all of them together."""

import contextlib
import fcntl
import os
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import cast

from nemo_gym.collections.files import sync_folder
from nemo_gym.collections.line_file import OutputBusyError, OutputError


class Drafts:
    """Files under hidden names, beside the ones they will have. What isn't published is removed at the end.

    A draft that a killed process left is overwritten by the next one.
    """

    def __init__(self) -> None:
        self._files: dict[Path, BufferedRandom] = {}

    def open(self, path: Path) -> BufferedRandom:
        """Begin the draft of `path`, for writing and for reading what was written.

        Raises:
            OutputError: It can't be written.
            OutputBusyError: Another process is writing the same file.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(draft_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
        except BlockingIOError as error:
            os.close(fd)
            raise OutputBusyError(str(path)) from error
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        file = self._files[path] = cast(BufferedRandom, os.fdopen(fd, "w+b", buffering=1 << 20))
        return file

    def publish(self) -> None:
        """Give every file its name, after all of them are on disk; raises OutputError."""
        try:
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
            for path in self._files:
                draft_path(path).replace(path)
            for folder in {path.parent for path in self._files}:
                sync_folder(folder)
        except OSError as error:
            raise OutputError(f"cannot write {', '.join(map(str, self._files))}: {error.strerror}") from error

    def __enter__(self) -> "Drafts":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path, file in self._files.items():
            draft_path(path).unlink(missing_ok=True)  # before the lock is given up: it may be another's right after
            with contextlib.suppress(OSError):  # a full disk: what is in the buffer needn't be written
                file.close()


def draft_path(path: Path) -> Path:
    """Return the hidden name under which a file is written."""
    return path.with_name(f".{path.name}.new")
