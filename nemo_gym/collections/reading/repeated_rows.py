"""Which rows of a task file are one task: profiles, exports, metrics and the viewer all ask here."""

import operator
from array import array
from bisect import bisect_right
from dataclasses import replace
from functools import cached_property

from nemo_gym.collections.identity import ROW_DIGEST_BYTES
from nemo_gym.collections.manifest import Manifest
from nemo_gym.collections.reading.index import IndexEntry
from nemo_gym.collections.reading.paged_array import Key


class RepeatedRows:
    """Rows that are equal and follow each other, as a dataset's `num_repeats` writes them, are one task.

    A task has the index of the first of its rows, and its repeats are counted on from row to row. Rows are compared by
    the 4 bytes of digest that the manifest has of each: for a million different ones, the chance that any two
    neighbors count as equal is about 2e-4. Takes 4 bytes a row, and nothing where no row repeats another.

    Args:
        manifest: Of the collection; None: each row is a task of its own.
    """

    def __init__(self, manifest: Manifest | None) -> None:
        digests = b"" if manifest is None else manifest.task_digests()
        self._repeats_of_a_row = 1 if manifest is None else manifest.repeats_of_a_row
        self._firsts = _first_rows(digests)
        self._num_rows = len(digests) // ROW_DIGEST_BYTES or (manifest.num_tasks if manifest else 0)

    def first(self, row: int) -> int:
        """Return the first of the rows that are one task with this one."""
        return self._firsts[row] if 0 <= row < len(self._firsts) else row

    def num_rows_of(self, task: int) -> int:
        """Return how many rows are this task, of which the first is named."""
        return bisect_right(self._firsts, task) - task if task < len(self._firsts) else 1

    def place(self, row: int, repeat: int) -> Key:
        """Return the task of a rollout, and which repeat of it that is."""
        first = self.first(row)
        return first, (row - first) * self._repeats_of_a_row + repeat

    def as_repeat(self, entry: IndexEntry) -> IndexEntry:
        """Return the entry of a rollout as a repeat of the first row's task."""
        task, repeat = self.place(entry.task_index, entry.rollout_index)
        return entry if task == entry.task_index else replace(entry, task_index=task, rollout_index=repeat)

    @cached_property
    def num_tasks(self) -> int:
        """How many tasks there are; 0 where it isn't known."""
        return sum(map(operator.eq, self._firsts, range(self._num_rows))) if self._firsts else self._num_rows

    @cached_property
    def group_size(self) -> int | None:
        """How many rollouts each task is to have; None where not all have as many."""
        rows = self._num_rows // self.num_tasks if self.num_tasks else 1
        is_even = all(first == row - row % rows for row, first in enumerate(self._firsts))
        return rows * self._repeats_of_a_row if is_even and rows * self.num_tasks == self._num_rows else None


def _first_rows(digests: bytes) -> "array[int]":
    """Return the first row of each row's task; nothing where every row is the only one of its task."""
    rows = memoryview(digests)[: len(digests) // ROW_DIGEST_BYTES * ROW_DIGEST_BYTES].cast("I")
    firsts = array("I")
    if not any(map(operator.eq, rows, rows[1:])):
        return firsts
    last: int | None = None
    for row, digest in enumerate(rows):
        firsts.append(firsts[-1] if digest == last else row)
        last = digest
    return firsts
