"""What every export format is: the rows of one group at a time, and the columns that they have."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Protocol, TypeVar

from nemo_gym.training.group import Group, LeftOutError, Rollout, Tally

Row = dict[str, Any]
Result = TypeVar("Result")
ColumnKind = Literal["objects", "text", "integer", "number", "boolean", "integers", "numbers"]
"""What a column holds; "objects" is a list of JSON objects, such as messages."""


class ExportFormat(Protocol):
    """A format. `columns`: what each of its rows has, in order."""

    columns: Mapping[str, ColumnKind]

    def rows(self, group: Group) -> Iterator[Row]:
        """Yield the rows of a group; the rest of it is counted as left out."""


def kept(group: Group, prepare: Callable[[Rollout], Result], tally: Tally) -> list[tuple[Rollout, Result]]:
    """Return the rollouts that can be prepared, with what came of it; the others are counted."""
    prepared = []
    for rollout in group:
        try:
            prepared.append((rollout, prepare(rollout)))
        except LeftOutError as error:
            tally.leave_out(error.reason, rollout, error.detail)
    return prepared
