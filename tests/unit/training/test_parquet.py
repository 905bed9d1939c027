"""Rows as Parquet: row groups stay small, however long the rows are."""

import io
from typing import Any

import pytest

from nemo_gym.training.formats.format import ColumnKind
from nemo_gym.training.parquet import ParquetRows

MEGABYTE = 2**20


def row_groups(kind: ColumnKind, value: Any, count: int) -> list[int]:
    """Write one value so many times; return the rows of each row group."""
    parquet = pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    rows = ParquetRows(file, {"task_index": "integer", "value": kind})
    for task in range(count):
        rows.write({"task_index": task, "value": value})
    rows.finish()
    table = parquet.ParquetFile(io.BytesIO(file.getvalue()))
    assert table.read(["task_index"]).column(0).to_pylist() == list(range(count))
    return [table.metadata.row_group(place).num_rows for place in range(table.num_row_groups)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("objects", [{"content": "x" * MEGABYTE}]),
        ("text", "x" * MEGABYTE),
        ("integers", [1] * (MEGABYTE // 8)),
        ("numbers", [0.5] * (MEGABYTE // 8)),
    ],
    ids=["objects", "text", "integers", "numbers"],
)
def test_a_row_group_of_rows_of_a_megabyte_has_sixteen_of_them(kind: ColumnKind, value: Any) -> None:
    assert row_groups(kind, value, 20) == [16, 4]


def test_a_row_group_of_short_rows_has_two_thousand() -> None:
    assert row_groups("text", "", 4_500) == [2_000, 2_000, 500]
