"""One rollout of the table: what every page says of it, and where its line is."""

from pydantic import BaseModel

Place = tuple[int, int]
"""Row of the task file, from 0, and repeat of that row: how the collector's files name a rollout."""


def link_key(place: Place) -> str:
    """Return the name of a rollout in links and notes."""
    return f"{place[0]}-{place[1]}"


class RolloutFacts(BaseModel):
    """What every page says of a rollout; `seconds`: how long it took; `length`: of its line, in bytes.

    `key` is its name in links, `row-repeat` as the collector counts them. `task` and `repeat` are those of its group:
    rows of the task file that are equal are one task.
    """

    key: str
    task: int
    repeat: int
    outcome: str
    reward: float | None
    kind: str
    stage: str
    truncated: bool
    seconds: float | None
    length: int
    counts: dict[str, int]


class Row(RolloutFacts):
    """One row of the table. `number`: its place there; `offset`: of its line, in bytes; `numbers`: the verifier's."""

    number: int
    place: Place
    offset: int
    numbers: dict[str, float]
