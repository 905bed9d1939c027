"""Rows as Parquet, some thousands at a time, so that memory stays flat. Needs the extra `export` (pyarrow)."""

from collections.abc import Mapping
from typing import Any

import orjson

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.training.formats.format import ColumnKind, Row

_ROWS_HELD = 2_000
_NUMBERS_HELD = 2_000_000
"""Of lists of integers and numbers; a row group is written when either is reached."""


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
        self._held: list[Row] = []
        self._numbers_held = 0

    def write(self, row: Row) -> None:
        """Take one row."""
        self._held.append(row)
        self._numbers_held += sum(len(row[name]) for name, kind in self._columns.items() if kind == "numbers")
        if len(self._held) >= _ROWS_HELD or self._numbers_held >= _NUMBERS_HELD:
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
        if self._held:
            arrays = [self._array([row[name] for row in self._held], kind) for name, kind in self._columns.items()]
            self._writer.write_table(self._pa.Table.from_arrays(arrays, schema=self._schema))
        self._held, self._numbers_held = [], 0

    def _array(self, values: list[Any], kind: ColumnKind) -> Any:
        if kind != "objects":
            return self._pa.array(values, self._type(kind))
        texts = [[orjson.dumps(each).decode() for each in objects] for objects in values]
        lists = self._pa.array(texts, self._pa.list_(self._pa.string()))
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
