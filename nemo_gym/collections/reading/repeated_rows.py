"""Rows of a task file that say the same as the one before them, as a dataset's `num_repeats` writes them: one task."""

from array import array
from dataclasses import replace

from nemo_gym.collections.identity import ROW_DIGEST_BYTES
from nemo_gym.collections.manifest import Manifest
from nemo_gym.collections.reading.index import IndexEntry


class RepeatedRows:
    """Tells which rows are one task; without a manifest each row is a task of its own."""

    def __init__(self, manifest: Manifest | None) -> None:
        self._repeats_of_a_row = 1 if manifest is None else manifest.num_repeats
        self._firsts = array("I") if manifest is None else _first_rows(manifest.task_digests())

    def first(self, row: int) -> int:
        """Return the first of the rows that are one task with this one."""
        return self._firsts[row] if row < len(self._firsts) else row

    def as_repeat(self, entry: IndexEntry) -> IndexEntry:
        """Return the entry of a rollout as a repeat of the first row's task."""
        first = self.first(entry.task_index)
        if first == entry.task_index:
            return entry
        before = (entry.task_index - first) * self._repeats_of_a_row
        return replace(entry, task_index=first, rollout_index=before + entry.rollout_index)


def _first_rows(digests: bytes) -> "array[int]":
    firsts, last = array("I"), b""
    for row in range(len(digests) // ROW_DIGEST_BYTES):
        digest = digests[row * ROW_DIGEST_BYTES : (row + 1) * ROW_DIGEST_BYTES]
        firsts.append(firsts[-1] if digest == last else row)
        last = digest
    return firsts
