"""How often each value occurs, exactly, in bounded memory: what doesn't fit is sorted into a temporary file."""

import heapq
import os
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import IO, Literal

MAX_IN_MEMORY = 16_384
"""Distinct values that a counter keeps in memory, about 1.5 MB."""
_BLOCK = 1_024  # entries of a run that are read at once
_ENTRY_BYTES = 8


class SpillFile:
    """A temporary file that nobody else sees, shared by many counters; made when it is first needed."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._size = 0

    def append(self, content: bytes) -> int:
        """Add bytes at the end; return where they begin."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # closed with its last reader
        self._file.write(content)
        self._size += len(content)
        return self._size - len(content)

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes that were added."""
        assert self._file is not None
        return os.pread(self._file.fileno(), size, offset)


class ValueCounts:
    """A multiset of numbers.

    Args:
        typecode: "d" for floats, "Q" for whole numbers from 0 to 2**64 - 1, e.g. digests.
        spill: Where to put what doesn't fit into memory.
    """

    def __init__(self, typecode: Literal["d", "Q"], spill: SpillFile) -> None:
        self._typecode = typecode
        self._spill = spill
        self._counts: dict[float, int] = {}
        self._runs: list[_Run] = []

    def add(self, value: float, count: int = 1) -> None:
        """Count a value."""
        counts = self._counts
        counts[value] = counts.get(value, 0) + count
        if len(counts) >= MAX_IN_MEMORY:
            self._runs.append(_Run.write(self._typecode, self._spill, sorted(counts.items())))
            counts.clear()

    def absorb(self, other: "ValueCounts") -> None:
        """Count everything that another has counted; the other must not be added to afterwards."""
        self._runs += other._runs
        for value, count in other._counts.items():
            self.add(value, count)

    def items(self) -> Iterator[tuple[float, int]]:
        """Yield each distinct value with its count, ascending."""
        if not self._runs:
            yield from sorted(self._counts.items())
            return
        merged = heapq.merge(sorted(self._counts.items()), *map(iter, self._runs))
        for value, group in groupby(merged, key=itemgetter(0)):
            yield value, sum(count for _, count in group)

    @property
    def total(self) -> int:
        """How many values were counted."""
        return sum(self._counts.values()) + sum(run.total for run in self._runs)

    @property
    def distinct(self) -> int:
        """How many different values were counted."""
        return sum(1 for _ in self.items())


@dataclass(frozen=True)
class _Run:
    """Sorted pairs in a spill file: all values from `offset` on, then all counts."""

    typecode: str
    spill: SpillFile
    offset: int
    length: int
    total: int

    @classmethod
    def write(cls, typecode: str, spill: SpillFile, pairs: list[tuple[float, int]]) -> "_Run":
        values = array(typecode, (value for value, _ in pairs))
        counts = array("Q", (count for _, count in pairs))
        return cls(typecode, spill, spill.append(values.tobytes() + counts.tobytes()), len(pairs), sum(counts))

    def __iter__(self) -> Iterator[tuple[float, int]]:
        for start in range(0, self.length, _BLOCK):
            length = min(_BLOCK, self.length - start)
            values, counts = array(self.typecode), array("Q")
            values.frombytes(self._read(start, length))
            counts.frombytes(self._read(self.length + start, length))
            yield from zip(values, counts, strict=True)

    def _read(self, start: int, length: int) -> bytes:
        return self.spill.read(self.offset + start * _ENTRY_BYTES, length * _ENTRY_BYTES)
