"""Rollouts as lines of a table."""

from collections.abc import Sequence

from pydantic import BaseModel

from nemo_gym.collections.line_file import DamagedFileError, decoded
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.row import RolloutFacts, Row
from nemo_gym.viewer.rollout.conversation import last_message

_PREVIEW_CHARS = 160
_MAX_PREVIEWED_BYTES = 2**20


class ListedRollout(RolloutFacts):
    """One line of the table. `preview`: how the rollout ended, in words; "" for a line longer than 1 MiB."""

    numbers: dict[str, float]
    preview: str


class RolloutList(BaseModel):
    """A page of the table. `is_partial`: there was no time to search every rollout."""

    total: int
    is_partial: bool
    rollouts: list[ListedRollout]
    number_names: list[str]
    kinds: list[str]


def rollout_list(
    follower: Follower, numbers: Sequence[int], offset: int, limit: int, *, is_partial: bool
) -> RolloutList:
    """Return a page of the rollouts with these row numbers."""
    return RolloutList(
        total=len(numbers),
        is_partial=is_partial,
        rollouts=[listed(follower, number) for number in numbers[offset : offset + limit]],
        number_names=list(follower.table.numbers),
        kinds=[kind for kind in follower.table.kind_names if kind],
    )


def listed(follower: Follower, number: int) -> ListedRollout:
    """Return the line of a rollout."""
    row = follower.table[number]
    return ListedRollout(**dict(row), preview=_preview(follower, row))


def _preview(follower: Follower, row: Row) -> str:
    if row.length > _MAX_PREVIEWED_BYTES:
        return ""
    try:
        content = decoded(follower.line(row))
    except (OSError, DamagedFileError):
        return ""
    if row.outcome == "failed":
        return str(content.get("failure_reason", ""))[:_PREVIEW_CHARS]
    return " ".join(last_message(content, 2 * _PREVIEW_CHARS).split())[:_PREVIEW_CHARS]
