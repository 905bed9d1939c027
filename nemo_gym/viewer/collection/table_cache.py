"""The table of a large collection, kept in a hidden file beside it, so that it opens in a second the next time."""

import os
from array import array
from collections.abc import Container
from pathlib import Path

import msgspec

from nemo_gym.collections.reading.followed_file import FileState
from nemo_gym.viewer.collection.table import RolloutTable

_FORMAT = 2


class _Head(msgspec.Struct):
    """First line of the file: what it describes. `files`: state of the rollout file and of the failures file."""

    format: int
    files: list[FileState]
    sent: list[str]
    kind_names: list[str]
    number_names: list[str]
    damaged: list[str]
    num_damaged: int
    rows: int


def cache_path(rollouts: Path) -> Path:
    """Return where the table of a rollout file is kept. It can be deleted at any time."""
    return rollouts.with_name(f".{rollouts.stem}_viewer_index.bin")


def save_table(table: RolloutTable, files: list[FileState], path: Path) -> None:
    """Write a table; does nothing in a folder that can't be written."""
    head = _Head(
        format=_FORMAT,
        files=files,
        sent=_names(table.sent),
        kind_names=table.kind_names,
        number_names=list(table.numbers),
        damaged=table.damaged,
        num_damaged=table.num_damaged,
        rows=len(table),
    )
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(head) + b"\n")
            for column in (*table.columns(), *table.numbers.values()):
                column.tofile(file)
        draft.replace(path)
    except OSError:  # a folder that isn't ours: the table is made anew each time
        draft.unlink(missing_ok=True)


def load_table(path: Path, sent: Container[str]) -> tuple[RolloutTable, list[FileState]] | None:
    """Return a table and the states of the files that it describes; None when there is none that can be used."""
    table = RolloutTable(sent)
    try:
        with path.open("rb") as file:
            head = msgspec.json.decode(file.readline(), type=_Head)
            if head.format != _FORMAT or len(head.files) != 2 or head.sent != _names(sent):
                return None
            table.kind_names = head.kind_names
            table.numbers = {name: array("d") for name in head.number_names}
            table.damaged, table.num_damaged = head.damaged, head.num_damaged
            for column in (*table.columns(), *table.numbers.values()):
                column.fromfile(file, head.rows)
    except (OSError, EOFError, msgspec.DecodeError):
        return None
    table.index_again()
    return table, head.files


def _names(sent: Container[str]) -> list[str]:
    return sorted(sent) if isinstance(sent, set | frozenset) else []
