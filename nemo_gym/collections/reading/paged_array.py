"""Numbers by key, kept flat: a million rollouts cost megabytes, not hundreds of them."""

from array import array
from collections.abc import Iterator
from typing import Any

Key = tuple[int, int]
"""Task index and rollout index."""

_PAGE_BITS = 8
_PAGE = 1 << _PAGE_BITS
_TASK_BITS = 40


class PagedArray:
    """Numbers by a key from 0 on; 0 where none was set. Only pages of 256 keys that hold something take room.

    Args:
        typecode: That of `array.array`: "B" 1 byte a key, "I" 4, "Q" and "d" 8.
    """

    def __init__(self, typecode: str) -> None:
        self._empty: array[Any] = array(typecode, [0]) * _PAGE
        self._pages: dict[int, array[Any]] = {}

    def __getitem__(self, key: int) -> float:
        page = self._pages.get(key >> _PAGE_BITS)
        return 0 if page is None else page[key & (_PAGE - 1)]

    def add(self, key: int, value: float) -> None:
        """Add to a number."""
        page = self._pages.get(key >> _PAGE_BITS)
        if page is None:
            self[key] = value
        else:
            page[key & (_PAGE - 1)] += value

    def __setitem__(self, key: int, value: float) -> None:
        number = key >> _PAGE_BITS
        page = self._pages.get(number)
        if page is None:
            if not value:
                return
            page = self._pages[number] = self._empty[:]
        page[key & (_PAGE - 1)] = value

    def items(self) -> Iterator[tuple[int, float]]:
        """Yield (key, number) of every number that is not 0, by key."""
        for number in sorted(self._pages):
            first = number << _PAGE_BITS
            for place, value in enumerate(self._pages[number]):
                if value:
                    yield first + place, value


class ByRollout:
    """Whole numbers from 0 on by (task index, rollout index); 0 where none was set."""

    def __init__(self, typecode: str) -> None:
        self._numbers = PagedArray(typecode)

    def __getitem__(self, key: Key) -> int:
        return self._numbers[key[1] << _TASK_BITS | key[0]]  # type: ignore[return-value]

    def __setitem__(self, key: Key, value: int) -> None:
        self._numbers[key[1] << _TASK_BITS | key[0]] = value

    def __contains__(self, key: Key) -> bool:
        return self[key] != 0

    def items(self) -> Iterator[tuple[Key, int]]:
        """Yield (key, number) of every number that is not 0, by rollout index and then by task index."""
        for packed, value in self._numbers.items():
            yield (packed & ((1 << _TASK_BITS) - 1), packed >> _TASK_BITS), int(value)
