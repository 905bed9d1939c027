"""An output that appears whole or not at all: rows go to a draft beside it, which takes its name at the end."""

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from nemo_gym.collections.files import make_folder, sync_folder
from nemo_gym.collections.line_file import OutputError, encode_line
from nemo_gym.training.format import ColumnKind, Row
from nemo_gym.training.parquet import ParquetRows


class RowWriter(Protocol):
    """Writes rows to an open file."""

    def write(self, row: Row) -> None:
        """Take one row."""

    def finish(self) -> None:
        """Write what is still held."""

    def abandon(self) -> None:
        """Let go of the file, whatever becomes of it."""


class JsonlRows:
    """Rows as lines of JSON."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, row: Row) -> None:
        """Write one line."""
        self._file.write(encode_line(row))

    def finish(self) -> None:
        """Nothing is held."""

    def abandon(self) -> None:
        """Nothing is held."""


class _HashedFile:
    """A file that is only written to, in order, and knows the digest of what it got."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


class Draft:
    """The draft of one output; leaving the block without `commit` removes it, also when interrupted.

    Args:
        path: The output; its ending decides the form.
        columns: What each row has.

    Attributes:
        rows: Rows written so far.
    """

    def __init__(self, path: Path, columns: Mapping[str, ColumnKind]) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.{os.getpid()}.new")
        self._columns = columns
        self.rows = 0

    def __enter__(self) -> Self:
        make_folder(self._path.parent)
        try:
            self._file = self._draft.open("wb")
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error
        self._hashed = _HashedFile(self._file)
        self._writer: RowWriter = (
            ParquetRows(self._hashed, self._columns) if self._path.suffix == ".parquet" else JsonlRows(self._hashed)  # type: ignore[arg-type]
        )
        return self

    def write(self, row: Row) -> None:
        """Add a row; raises OutputError."""
        self.rows += 1
        try:
            self._writer.write(row)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error

    def finish(self) -> str:
        """Write what is still held and make it survive a power cut; return the SHA-256. Raises OutputError."""
        try:
            self._writer.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error
        return self._hashed.sha256.hexdigest()

    def commit(self) -> None:
        """Give the draft the output's name; raises OutputError."""
        try:
            self._draft.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A full disk may fail both; what matters is that the draft goes.
        with contextlib.suppress(OSError):
            self._writer.abandon()
        with contextlib.suppress(OSError):
            self._file.close()
        self._draft.unlink(missing_ok=True)
