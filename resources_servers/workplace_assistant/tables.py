"""The workplace's tables: what a session starts with, and what its tool calls change.

A session's table shares its rows with all others until it is changed first, and even then only a dictionary is copied:
a row is never changed but replaced. What is still the same object is thereby known to be equal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nemo_gym.environments import ToolError
from nemo_gym.wire.json_object import JsonObject

Row = Mapping[str, str]

_CASE_COUNTS = frozenset({"status", "list_name", "board"})
_ID_DIGITS = 8


class Table:
    """Rows of texts by their id, in the order of their ids, in which they are also added.

    Attributes:
        noun: What one row is, for messages to the policy.
        columns: The first one is the id, which is a number with zeros before it.
    """

    def __init__(self, noun: str, columns: Sequence[str], rows: dict[str, Row]) -> None:
        self.noun = noun
        self.columns = columns
        self._rows = rows
        self._is_shared = True

    def copy(self) -> "Table":
        """Return a table of the same rows that changes for itself."""
        self._is_shared = True
        return Table(self.noun, self.columns, self._rows)

    @property
    def rows(self) -> Iterable[Row]:
        """All rows, in order."""
        return self._rows.values()

    def row(self, row_id: str) -> Row:
        """Return a row; raises ToolError when there is none."""
        if row_id not in self._rows:
            raise ToolError(f"There is no {self.noun} with the {self.columns[0]} {row_id!r}.")
        return self._rows[row_id]

    def cell(self, row_id: str, column: str) -> dict[str, str]:
        """Return `{column: value}`; raises ToolError when there is no such row or column."""
        return {column: self.row(row_id)[self._known(column, self.columns)]}

    def add(self, *cells: str, id_digits: int = _ID_DIGITS) -> str:
        """Append a row, cells in the order of the columns after the id; return its id, the highest one plus 1."""
        last = next(reversed(self._rows), "-1")
        row_id = str(int(last) + 1).zfill(id_digits)
        self._to_change()[row_id] = dict(zip(self.columns, (row_id, *cells), strict=True))
        return row_id

    def change(self, row_id: str, column: str, value: str) -> None:
        """Set a cell, which can't be the id; raises ToolError when there is no such row or column."""
        changed = {**self.row(row_id), self._known(column, self.columns[1:]): value}
        self._to_change()[row_id] = changed

    def delete(self, row_id: str) -> None:
        """Remove a row; raises ToolError when there is none."""
        self.row(row_id)
        del self._to_change()[row_id]

    def is_equal_to(self, other: "Table") -> bool:
        """Tell whether both have the same rows in the same order; upper case counts in a few columns only."""
        if self._rows is other._rows:
            return True
        pairs = zip(self.rows, other.rows, strict=False)
        return len(self._rows) == len(other._rows) and all(a is b or _folded(a) == _folded(b) for a, b in pairs)

    def _to_change(self) -> dict[str, Row]:
        if self._is_shared:
            self._rows, self._is_shared = dict(self._rows), False
        return self._rows

    def _known(self, column: str, columns: Sequence[str]) -> str:
        if column not in columns:
            raise ToolError(f"There is no field {column!r}; the fields are: {', '.join(columns)}.")
        return column


def _folded(row: Row) -> dict[str, str]:
    return {column: cell if column in _CASE_COUNTS else cell.lower() for column, cell in row.items()}


@dataclass
class Workplace:
    """The state of one session.

    Attributes:
        plots: Paths of the plots made, in order.
        visits: To the website; no tool changes them.
        directory: Email addresses of the company's people.
    """

    emails: Table
    events: Table
    tasks: Table
    customers: Table
    visits: Sequence[Row]
    directory: Sequence[str]
    plots: list[str] = field(default_factory=list)

    def copy(self) -> "Workplace":
        """Return the same workplace, to be changed by itself."""
        tables = {name: getattr(self, name).copy() for name in ("emails", "events", "tasks", "customers")}
        return replace(self, **tables, plots=list(self.plots))

    def compare(self, other: "Workplace") -> dict[str, float]:
        """Return 1.0 for each kind of thing that is the same in both, else 0.0."""
        same_plots = [plot.lower() for plot in self.plots] == [plot.lower() for plot in other.plots]
        return {
            "emails": float(self.emails.is_equal_to(other.emails)),
            "events": float(self.events.is_equal_to(other.events)),
            "plots": float(same_plots),
            "tasks": float(self.tasks.is_equal_to(other.tasks)),
            "customers": float(self.customers.is_equal_to(other.customers)),
        }


def contains(text: str, part: str | None) -> bool:
    """Tell whether a text has a part, in any case; every text has None."""
    return part is None or part.lower() in text.lower()


def page_of(rows: Sequence[Row], what: str, page: int | None, page_size: int | None) -> JsonObject:
    """Return a page of found rows under the key `what`; the nearest page where there is none of that number.

    Raises:
        ToolError: Nothing was found.
    """
    if not rows:
        raise ToolError(f"No {what} found.")
    size = max(1, page_size or 5)
    pages = -(-len(rows) // size)
    number = min(max(1, page or 1), pages)
    numbers: dict[str, Any] = {"page": number, "page_size": size, "total_pages": pages}
    return {what: rows[(number - 1) * size : number * size], "pagination": {f"total_{what}": len(rows), **numbers}}
