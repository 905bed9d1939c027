"""Texts that have been seen, by digest: 10 to 20 bytes each, where a set of Python takes a hundred."""

import hashlib
from array import array

_FIRST_SIZE = 1 << 10


class DigestSet:
    """A hash table with open addressing over 64 bits of BLAKE2b.

    Among a million texts, the chance that any two different ones count as the same is about 3e-8.
    """

    def __init__(self) -> None:
        self._slots = array("Q", [0]) * _FIRST_SIZE
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def add(self, text: bytes) -> bool:
        """Take in a text; return whether it is new."""
        # 0 marks an empty slot.
        digest = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") or 1
        if self._used * 10 > len(self._slots) * 7:
            self._grow()
        slot = self._slot(digest)
        if self._slots[slot]:
            return False
        self._slots[slot] = digest
        self._used += 1
        return True

    def _slot(self, digest: int) -> int:
        slots, last = self._slots, len(self._slots) - 1
        slot = digest & last
        while slots[slot] and slots[slot] != digest:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", [0]) * (2 * len(old))
        for digest in old:
            if digest:
                self._slots[self._slot(digest)] = digest
