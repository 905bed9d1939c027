"""Which rollouts a filter admits, in which order."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import msgspec
import orjson

from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.row import link_key
from nemo_gym.viewer.collection.table import OUTCOMES, RolloutTable
from nemo_gym.viewer.pages.query import Condition, Query, QueryError

SEARCH_S = 20.0
"""Longest that a filter may read lines: it then answers with what it has found."""

Tags = Mapping[str, frozenset[str]]
"""The reader's tags by rollout (`task-repeat`)."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class Selection:
    """Row numbers in order. `is_partial`: there was no time to search every rollout."""

    numbers: list[int]
    is_partial: bool = False


def select(follower: Follower, query: Query, tags: Tags, sort: str = "", *, descending: bool = False) -> Selection:
    """Return the rows that a filter admits.

    Args:
        sort: A column; "" is the order in which the rollouts ended. Rollouts without a value come last.

    Raises:
        QueryError: The filter or the order names what the collection doesn't have.
    """
    table = follower.table
    numbers = list(table.current())
    of_lines: list[Condition] = []
    for condition in query.conditions:
        admits = _row_test(table, condition, tags)
        if admits is None:
            of_lines.append(condition)
        else:
            numbers = [number for number in numbers if admits(number)]
    selection = _search(follower, table, numbers, of_lines, query.texts)
    return Selection(_sorted(table, selection.numbers, sort, descending=descending), selection.is_partial)


def _row_test(table: RolloutTable, condition: Condition, tags: Tags) -> Callable[[int], bool] | None:
    """Return the test of a condition that the table can answer by itself; None for one that needs the line."""
    match condition.name:
        case "outcome":
            named = [condition.admits_text(name) for name in OUTCOMES]
            return lambda number: named[table.outcomes[number]]
        case "kind":
            of_kind = [condition.admits_text(name) for name in table.kind_names]
            return lambda number: of_kind[table.kinds[number]]
        case "task":
            of_task = _of_task(condition, table)
            return lambda number: of_task.admits(table.task(number))
        case "repeat":
            return lambda number: condition.admits(table.rows.place(*table.place(number))[1])
        case "tag":
            condition.admits_text("")
            tagged = {key for key, of_rollout in tags.items() if condition.value in of_rollout}
            is_wanted = condition.operator == "="
            return lambda number: (link_key(table.place(number)) in tagged) == is_wanted
    column = table.column(condition.name)
    if column is None:
        return None
    try:
        _ = condition.number
    except QueryError:
        if condition.name in table.numbers:
            return None  # a field that is a number in one row may be text in another
        raise
    return lambda number: number < len(column) and condition.admits(column[number])


def _of_task(condition: Condition, table: RolloutTable) -> Condition:
    """Return the condition of a task that may be named by any of its rows, as it may be in the link of its page."""
    if condition.operator not in ("=", "!=") or not condition.number.is_integer():
        return condition
    return replace(condition, value=str(table.rows.first(int(condition.number))))


def _sorted(table: RolloutTable, numbers: list[int], sort: str, *, descending: bool) -> list[int]:
    if not sort:
        return numbers[::-1] if descending else numbers
    if sort in ("outcome", "kind"):
        names, column = (OUTCOMES, table.outcomes) if sort == "outcome" else (table.kind_names, table.kinds)
        return sorted(numbers, key=lambda number: names[column[number]], reverse=descending)
    column = table.column(sort)
    if column is None:
        raise QueryError(f"there is no column '{sort}' to sort by")
    known = [number for number in numbers if number < len(column) and not math.isnan(column[number])]
    known_set = set(known) if len(known) < len(numbers) else None
    rest = [] if known_set is None else [number for number in numbers if number not in known_set]
    return sorted(known, key=column.__getitem__, reverse=descending) + rest


def _search(
    follower: Follower, table: RolloutTable, numbers: list[int], conditions: list[Condition], texts: tuple[str, ...]
) -> Selection:
    """Read the lines of the rows; keep those that hold every text and whose fields meet the conditions."""
    if not conditions and not texts:
        return Selection(numbers)
    needles = [_needle(text) for text in texts]
    found: list[int] = []
    deadline = time.monotonic() + SEARCH_S
    with _Lines(follower) as lines:
        for count, number in enumerate(numbers):
            if count % 64 == 0 and time.monotonic() > deadline:
                return Selection(found, is_partial=True)
            line = lines.read(table, number)
            if all(_occurs(needle, line) for needle in needles) and _has_fields(line, conditions):
                found.append(number)
    return Selection(found)


class _Lines:
    """Reads lines of rows with one open file for each source."""

    def __init__(self, follower: Follower) -> None:
        self._paths = {True: follower.paths.failures, False: follower.paths.rollouts}
        self._files: dict[bool, BinaryIO] = {}

    def read(self, table: RolloutTable, number: int) -> bytes:
        is_failure = OUTCOMES[table.outcomes[number]] == "failed"
        try:
            if is_failure not in self._files:
                self._files[is_failure] = self._paths[is_failure].open("rb", buffering=0)
            self._files[is_failure].seek(table.offsets[number])
            return self._files[is_failure].read(table.lengths[number])
        except OSError:  # vanished meanwhile
            return b""

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()


def _needle(text: str) -> bytes:
    return orjson.dumps(text)[1:-1]  # as JSON writes it


def _occurs(needle: bytes, line: bytes) -> bool:
    """Search without regard to case when the needle has no capitals."""
    return needle in (line.lower() if needle == needle.lower() else line)


def _has_fields(line: bytes, conditions: list[Condition]) -> bool:
    if not conditions:
        return True
    try:
        fields = _FIELDS.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return False
    return all(_meets(fields, condition) for condition in conditions)


def _meets(fields: dict[str, msgspec.Raw], condition: Condition) -> bool:
    try:
        value: Any = (
            msgspec.json.decode(fields[condition.name]) if condition.name in fields else _nested(fields, condition)
        )
    except (msgspec.DecodeError, RecursionError):
        return False
    if value is None:
        return condition.operator == "!="
    if isinstance(value, int | float) and not isinstance(value, bool):
        return condition.admits(value)
    return condition.admits_text(value if isinstance(value, str) else orjson.dumps(value).decode())


def _nested(fields: dict[str, msgspec.Raw], condition: Condition) -> Any:
    outer, _, rest = condition.name.partition(".")
    value = msgspec.json.decode(fields[outer]) if outer in fields else None
    for name in rest.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
