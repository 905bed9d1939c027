"""An index of a rollout file: where each rollout is, its outcome and reward; 25 bytes a row, growing with the file."""

import heapq
import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from nemo_gym.collections.line_file import DamagedFileError, Line, decoded_as
from nemo_gym.collections.reading.followed_file import FileChange, FileState, FollowedFile
from nemo_gym.collections.records import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY

Index32 = Annotated[int, Meta(ge=0, lt=2**32)]
OutcomeName = Literal["scored", "masked", "no_reward"]
_OUTCOMES: tuple[OutcomeName, ...] = ("scored", "masked", "no_reward")

_CACHED_FROM_BYTES = 4 * 2**20
_FORMAT = 2
_SORTED_AT_ONCE = 65_536


class RowHead(msgspec.Struct, rename={"task_index": TASK_INDEX_KEY, "rollout_index": ROLLOUT_INDEX_KEY}):
    """What an index needs of a row; everything else in the line is skipped, not decoded."""

    task_index: Index32 | None = None
    rollout_index: Index32 | None = None
    reward: float | None = None
    mask_sample: Any = None
    failure_kind: Any = None

    @property
    def outcome(self) -> OutcomeName:
        """What became of the rollout; `no_reward` is only in files that no collector wrote."""
        if self.reward is None:
            return "no_reward"
        return "masked" if self.mask_sample else "scored"


HEADS = msgspec.json.Decoder(RowHead)


@dataclass(frozen=True)
class IndexEntry:
    """One rollout. `offset`: byte where its line begins; `reward`: None where the row has none."""

    offset: int
    task_index: int
    rollout_index: int
    outcome: OutcomeName
    reward: float | None


@dataclass
class _Columns:
    keys: "array[int]" = field(default_factory=lambda: array("Q"))
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    rewards: "array[float]" = field(default_factory=lambda: array("d"))
    outcomes: "array[int]" = field(default_factory=lambda: array("B"))
    damaged: "array[int]" = field(default_factory=lambda: array("Q"))

    def all(self) -> "tuple[array[Any], ...]":
        return (self.keys, self.offsets, self.rewards, self.outcomes, self.damaged)


class _Head(msgspec.Struct):
    """First line of the index file: which state of the rollout file it describes."""

    format: int
    state: FileState
    lengths: list[int]


class RolloutIndex:
    """The rollouts of one file in file order. Empty until `refresh`.

    Rows without a place (a file that no collector wrote) are numbered in file order, each as repeat 0.

    Args:
        path: The rollout file.
        cache: Where to keep the index of a file of 4 MiB or more; None: nowhere. Used only while it fits the file.
    """

    def __init__(self, path: Path, cache: Path | None = None) -> None:
        self.path = path
        self._cache = cache
        self._file = FollowedFile(path)
        self._order: array[int]
        self._forget()

    def refresh(self) -> FileChange:
        """Read what was added to the file since the last time; a file that was replaced is read from the start.

        Raises:
            OSError: The file can't be read.
        """
        if self.size_bytes == 0 and self._cache is not None:
            self._load(self._cache)
        change = self._file.change()
        if change is FileChange.SAME:
            return change
        if change is not FileChange.GROWN:
            self._forget()
        if change is not FileChange.VANISHED:
            before = self.size_bytes
            for line in self._file.read_on():
                self._take(line)
            if self.size_bytes == before and change is FileChange.GROWN:
                return FileChange.SAME  # what was added is not a whole line yet
            if self._cache is not None and self.size_bytes >= _CACHED_FROM_BYTES:
                self._save(self._cache)
        return change

    def __len__(self) -> int:
        return len(self._columns.keys)

    def __getitem__(self, number: int) -> IndexEntry:
        columns = self._columns
        outcome = _OUTCOMES[columns.outcomes[number]]
        key = columns.keys[number]
        reward = None if outcome == "no_reward" else columns.rewards[number]
        return IndexEntry(columns.offsets[number], key >> 32, key & 0xFFFFFFFF, outcome, reward)

    def find(self, task_index: int, rollout_index: int) -> IndexEntry | None:
        """Return the last rollout of a place in the file, or None."""
        keys, order, key = self._columns.keys, self._sorted(), task_index << 32 | rollout_index
        place = bisect_right(order, key, key=keys.__getitem__) - 1
        return self[order[place]] if place >= 0 and keys[order[place]] == key else None

    def by_place(self) -> Iterator[IndexEntry]:
        """Yield the last rollout of each place, by task and then by repeat."""
        order, keys = self._sorted(), self._columns.keys
        for at, number in enumerate(order):
            if at + 1 == len(order) or keys[order[at + 1]] != keys[number]:
                yield self[number]

    @property
    def damaged(self) -> list[int]:
        """Byte offsets of lines that aren't rollouts."""
        return list(self._columns.damaged)

    @property
    def size_bytes(self) -> int:
        """How much of the file has been taken in."""
        return self._file.state.size

    def _sorted(self) -> "array[int]":
        keys = self._columns.keys
        if len(self._order) != len(keys):
            # In pieces: sorting all at once would take a hundred bytes for each rollout.
            starts = range(0, len(keys), _SORTED_AT_ONCE)
            pieces = (range(start, min(start + _SORTED_AT_ONCE, len(keys))) for start in starts)
            runs = [array("I", sorted(piece, key=keys.__getitem__)) for piece in pieces]
            self._order = array("I", heapq.merge(*runs, key=keys.__getitem__))
        return self._order

    def _forget(self) -> None:
        self._columns = _Columns()
        self._order = array("I")  # row numbers by place, made when the first one is looked for
        self._file.forget()

    def _take(self, line: Line) -> None:
        columns = self._columns
        try:
            head = decoded_as(HEADS, line)
        except DamagedFileError:
            columns.damaged.append(line.offset)
            return
        task = len(columns.keys) if head.task_index is None else head.task_index
        columns.keys.append(task << 32 | (head.rollout_index or 0))
        columns.offsets.append(line.offset)
        columns.rewards.append(head.reward or 0.0)
        columns.outcomes.append(_OUTCOMES.index(head.outcome))

    def _save(self, cache: Path) -> None:
        columns = self._columns.all()
        lengths = [len(column) for column in columns]
        head = _Head(_FORMAT, self._file.state, lengths)
        draft = cache.with_name(f"{cache.name}.{os.getpid()}.new")
        try:
            with draft.open("wb") as file:
                file.write(msgspec.json.encode(head) + b"\n")
                for column in columns:
                    column.tofile(file)
            draft.replace(cache)
        except OSError:  # a folder that isn't ours: the index is made anew each time
            draft.unlink(missing_ok=True)

    def _load(self, cache: Path) -> None:
        columns = _Columns()
        try:
            with cache.open("rb") as file:
                head = msgspec.json.decode(file.readline(), type=_Head)
                if head.format != _FORMAT or len(head.lengths) != len(columns.all()):
                    return
                for column, length in zip(columns.all(), head.lengths, strict=True):
                    column.fromfile(file, length)
        except (OSError, EOFError, msgspec.DecodeError):
            return
        self._columns = columns
        self._file.state = head.state
