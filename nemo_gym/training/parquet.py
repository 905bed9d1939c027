"""Rows as Parquet, some thousands or megabytes at a time: memory stays flat. Needs the extra `export` (pyarrow)."""

from collections.abc import Mapping
from typing import Any

import orjson

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.training.formats.format import ColumnKind, Row

_ROWS_HELD = 2_000
_BYTES_HELD = 16 * 2**20
"""Of values as Parquet has them before it compresses; a row group is written when either is reached."""
_NUMBER_BYTES = 8


def pyarrow() -> Any:
    """Return the module; raises ConfigError where it isn't installed."""
    # Here and not above: an optional dependency, which takes half a second to load.
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        fix = "pip install 'nemo-gym[export]', or name an output that ends in .jsonl"
        raise ConfigError(Mistake("Parquet needs pyarrow, which isn't installed", "output_fpath", fix=fix)) from None
    return pyarrow


class ParquetRows:
    """Writes rows to an open file.

    Messages and other objects are lists of JSON values (Parquet's logical type JSON): structs would give every tool
    call the arguments of all others, as nulls. `datasets` decodes them; other readers get their text.
    """

    def __init__(self, file: Any, columns: Mapping[str, ColumnKind]) -> None:
        self._pa = pyarrow()
        self._columns = columns
        self._schema = self._pa.schema([(name, self._type(kind)) for name, kind in columns.items()])
        self._writer = self._pa.parquet.ParquetWriter(self._pa.PythonFile(file, mode="w"), self._schema)
        self._forget()

    def write(self, row: Row) -> None:
        """Take one row."""
        for name, kind in self._columns.items():
            value = _json_texts(row[name]) if kind == "objects" else row[name]
            self._held[name].append(value)
            self._bytes_held += _size(value)
        self._rows_held += 1
        if self._rows_held >= _ROWS_HELD or self._bytes_held >= _BYTES_HELD:
            self._flush()

    def finish(self) -> None:
        """Write the rows that are still held, and the end of the file."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Close the writer while its file is open; else it would try when it is collected as garbage."""
        try:
            self._writer.close()
        finally:
            self._writer.is_open = False

    def _flush(self) -> None:
        if self._rows_held:
            arrays = [self._array(self._held[name], kind) for name, kind in self._columns.items()]
            self._writer.write_table(self._pa.Table.from_arrays(arrays, schema=self._schema))
        self._forget()

    def _forget(self) -> None:
        self._held: dict[str, list[Any]] = {name: [] for name in self._columns}
        self._rows_held = self._bytes_held = 0

    def _array(self, values: list[Any], kind: ColumnKind) -> Any:
        if kind != "objects":
            return self._pa.array(values, self._type(kind))
        lists = self._pa.array(values, self._pa.list_(self._pa.string()))
        json = self._pa.ExtensionArray.from_storage(self._json(), lists.values)
        return self._pa.ListArray.from_arrays(lists.offsets, json)

    def _type(self, kind: ColumnKind) -> Any:
        pa = self._pa
        types = {
            "objects": lambda: pa.list_(self._json()),
            "text": pa.string,
            "integer": pa.int64,
            "number": pa.float64,
            "boolean": pa.bool_,
            "integers": lambda: pa.list_(pa.int64()),
            "numbers": lambda: pa.list_(pa.float64()),
        }
        return types[kind]()

    def _json(self) -> Any:
        return self._pa.json_(self._pa.string())


def _json_texts(objects: list[Any]) -> list[str]:
    return [orjson.dumps(each).decode() for each in objects]


def _size(value: Any) -> int:
    """Return the bytes of a value, about: of a text it is the characters."""
    if isinstance(value, list):
        return sum(map(len, value)) if value and isinstance(value[0], str) else _NUMBER_BYTES * len(value)
    return len(value) if isinstance(value, str) else _NUMBER_BYTES
