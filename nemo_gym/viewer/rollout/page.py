"""The page of one rollout: its conversation, its verdict, what the verifier knows, its failure, its attempts."""

from typing import Any

from pydantic import BaseModel

from nemo_gym.collections.line_file import DamagedFileError, decoded
from nemo_gym.collections.records import MASK_KEYS, ROLLOUT_INDEX_KEY, TASK_INDEX_KEY, TIME_KEYS, FailureRecord
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.row import RolloutFacts, Row
from nemo_gym.viewer.rollout.conversation import MAX_CHARS, Item, Part, as_text, items_of, shortened
from nemo_gym.viewer.rollout.timeline import TimelineCall, timeline_of

PAGE_ITEMS = 200
_OWN_KEYS = frozenset(
    {"responses_create_params", "response", "agent_ref", TASK_INDEX_KEY, ROLLOUT_INDEX_KEY, *TIME_KEYS}
)
_MAX_JOURNAL_BYTES = 64 * 2**20


class Attempt(BaseModel):
    """An attempt, from the journal. `at`: seconds since the epoch; `elapsed_s`: known for those that failed."""

    number: int
    at: float | None
    elapsed_s: float | None = None
    kind: str = ""
    stage: str = ""
    reason: str = ""


class RolloutPage(RolloutFacts):
    """What the page shows; `items` is the first stretch of `num_items`."""

    reason: str
    verdict: dict[str, Part]
    known: dict[str, Part]
    items: list[Item]
    num_items: int
    tools: list[str]
    timeline: list[TimelineCall]
    attempts: list[Attempt]
    has_tokens: bool
    error: str = ""


def rollout_page(follower: Follower, row: Row) -> RolloutPage:
    """Return the page; one that says what is wrong for a line that can't be read."""
    try:
        content, failure = content_of(follower, row)
        error = ""
    except (OSError, DamagedFileError) as problem:
        content, failure, error = {}, None, str(problem)
    items, num_items = items_of(content, 0, PAGE_ITEMS)
    known, verdict = _fields(follower, content)
    reason = failure.failure_reason if failure else content.get("failure_reason")
    return RolloutPage(
        **dict(row),
        reason=reason if isinstance(reason, str) else "",
        verdict=verdict,
        known=known,
        items=items,
        num_items=num_items,
        tools=_tools(content),
        timeline=timeline_of(content),
        attempts=_attempts(follower, row, failure),
        has_tokens=any(item.has_tokens for item in items),
        error=error,
    )


def content_of(follower: Follower, row: Row) -> tuple[dict[str, Any], FailureRecord | None]:
    """Return a rollout's row; of a failure the trajectory, or else the task row, and its record.

    Raises:
        OSError, DamagedFileError: It can't be read.
    """
    line = follower.line(row)
    if row.outcome != "failed":
        return decoded(line), None
    record = FailureRecord.model_validate(decoded(line))
    for unverified in _unverified(follower, row):
        return unverified, record
    return follower.task_rows.find(row.place[0]) or {}, record


def known_fields(follower: Follower, content: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the task row: what the verifier knows."""
    return {name: value for name, value in content.items() if name in follower.table.sent and name not in _OWN_KEYS}


def _unverified(follower: Follower, row: Row) -> list[dict[str, Any]]:
    if row.stage != "verification":
        return []
    try:
        found = [
            record.verify_request
            for record in follower.reader.unverified()
            if (record.task_index, record.rollout_index) == row.place
        ]
    except (OSError, DamagedFileError):
        return []
    return found[-1:]


def _fields(follower: Follower, content: dict[str, Any]) -> tuple[dict[str, Part], dict[str, Part]]:
    known = known_fields(follower, content)
    added = {
        name: value
        for name, value in content.items()
        if name not in known and name not in _OWN_KEYS and name != "reward" and name not in MASK_KEYS
    }
    return _as_parts(known), _as_parts(added)


def _as_parts(fields: dict[str, Any]) -> dict[str, Part]:
    return {name: shortened(as_text(value), MAX_CHARS // 4) for name, value in list(fields.items())[:200]}


def _tools(content: dict[str, Any]) -> list[str]:
    params = content.get("responses_create_params")
    tools = params.get("tools") if isinstance(params, dict) else None
    return [str(tool.get("name", "?")) for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []


def _attempts(follower: Follower, row: Row, failure: FailureRecord | None) -> list[Attempt]:
    """Return the attempts of a rollout; none where the journal is too long to be read for one page."""
    by_number: dict[int, Attempt] = {}
    try:
        if follower.paths.journal.stat().st_size <= _MAX_JOURNAL_BYTES:
            for event in follower.reader.journal():
                if (event.task_index, event.rollout_index) != row.place:
                    continue
                if isinstance(event, FailureRecord):
                    by_number[event.attempt] = _failed(event)
                else:
                    by_number[event.attempt] = Attempt(number=event.attempt, at=event.at)
    except (OSError, DamagedFileError):
        pass
    if failure is not None:
        by_number[failure.attempt] = _failed(failure)
    return [by_number[number] for number in sorted(by_number)]


def _failed(record: FailureRecord) -> Attempt:
    return Attempt(
        number=record.attempt,
        at=record.started_at,
        elapsed_s=record.elapsed_s,
        kind=record.failure_kind,
        stage=record.stage,
        reason=record.failure_reason,
    )
