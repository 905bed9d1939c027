"""A file that appears whole or not at all: it is written beside its place, and takes its name at the end."""

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from nemo_gym.collections.files import make_folder, sync_folder, what_it_is
from nemo_gym.collections.line_file import OutputError
from nemo_gym.config.errors import ConfigError, Mistake


class DraftFile:
    """A draft; leaving the block without `commit` removes it, also when interrupted.

    Attributes:
        file: The draft, open for writing.

    Raises:
        OutputError: From the block's beginning and from `commit`: it can't be written.
    """

    file: BinaryIO

    def __init__(self, path: Path) -> None:
        self.path = path
        self._draft = path.with_name(f".{path.name}.{os.getpid()}.new")

    def __enter__(self) -> Self:
        make_folder(self.path.parent)
        try:
            self.file = self._draft.open("wb")
        except OSError as error:
            raise self.error(error) from error
        return self

    def commit(self) -> None:
        """Make what was written survive a power cut and give it its name."""
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            self._draft.replace(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise self.error(error) from error

    def error(self, error: OSError) -> OutputError:
        """Return what to raise for a write that failed."""
        return OutputError(f"cannot write {self.path}: {error.strerror}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # a full disk; what matters is that the draft goes
            self.file.close()
        self._draft.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one step; raises OutputError."""
    with DraftFile(path) as draft:
        try:
            draft.file.write(text.encode())
        except OSError as error:
            raise draft.error(error) from error
        draft.commit()


def check_new_file(path: Path, where: str, *, overwrite: bool, inputs: tuple[Path, ...] = ()) -> None:
    """Raise ConfigError for an output that exists (unless it may be replaced), is no file, or is one of the inputs.

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
