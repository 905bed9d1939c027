"""An output that appears whole or not at all: rows go to a draft beside it, which takes its name at the end."""

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from nemo_gym.collections.draft_file import DraftFile
from nemo_gym.collections.line_file import encode_line
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

    def __init__(self, file: Any, columns: Mapping[str, ColumnKind]) -> None:
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
    """The draft of an export; leaving the block without `commit` removes it.

    Args:
        path: The output; its ending decides the form.
        columns: What each row has.

    Attributes:
        rows: Rows written so far.
    """

    def __init__(self, path: Path, columns: Mapping[str, ColumnKind]) -> None:
        self._draft = DraftFile(path)
        self._columns = columns
        self.rows = 0

    def __enter__(self) -> Self:
        self._hashed = _HashedFile(self._draft.__enter__().file)
        try:
            is_parquet = self._draft.path.suffix == ".parquet"
            self._writer: RowWriter = (ParquetRows if is_parquet else JsonlRows)(self._hashed, self._columns)
        except BaseException:
            self._draft.__exit__(None, None, None)
            raise
        return self

    @property
    def open_file(self) -> BinaryIO:
        """The file that is being written."""
        return self._draft.file

    def write(self, row: Row) -> None:
        """Add a row; raises OutputError."""
        self.rows += 1
        try:
            self._writer.write(row)
        except OSError as error:
            raise self._draft.error(error) from error

    def finish(self) -> str:
        """Write what is still held; return the SHA-256 of all of it. Raises OutputError."""
        try:
            self._writer.finish()
        except OSError as error:
            raise self._draft.error(error) from error
        return self._hashed.sha256.hexdigest()

    def commit(self) -> None:
        """Give the draft the output's name; raises OutputError."""
        self._draft.commit()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(OSError):
                self._writer.abandon()
        finally:
            self._draft.__exit__(kind, error, trace)
