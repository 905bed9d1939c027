"""Rows written to an open file as its name's ending says, with the digest of what was written."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from nemo_gym.collections.line_file import encode_line
from nemo_gym.training.formats.format import ColumnKind, Row
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


class RowFile:
    """Rows of an export in an open file; see `row_file`. `rows`: how many were written so far."""

    def __init__(self, file: BinaryIO, path: Path, columns: Mapping[str, ColumnKind]) -> None:
        self._hashed = _HashedFile(file)
        self.writer: RowWriter = (ParquetRows if path.suffix == ".parquet" else JsonlRows)(self._hashed, columns)
        self.rows = 0

    def write(self, row: Row) -> None:
        """Add a row."""
        self.rows += 1
        self.writer.write(row)

    def finish(self) -> str:
        """Write what is still held; return the SHA-256 of all of it."""
        self.writer.finish()
        return self._hashed.sha256.hexdigest()


@contextlib.contextmanager
def row_file(file: BinaryIO, path: Path, columns: Mapping[str, ColumnKind]) -> Iterator[RowFile]:
    """Write rows to an open file, which stays open.

    Args:
        file: Takes what is written.
        path: Its ending says the form: .jsonl or .parquet.
        columns: What each row has.
    """
    rows = RowFile(file, path, columns)
    try:
        yield rows
    finally:
        with contextlib.suppress(OSError):
            rows.writer.abandon()
