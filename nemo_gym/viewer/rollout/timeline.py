"""The calls of a rollout in order: from its times where the row has them, else from its items alone."""

from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from nemo_gym.viewer.rollout.conversation import raw_items
from nemo_gym.wire.call_times import CALLS_KEY, CallKind, TimedCall

MAX_CALLS = 2_000


class TimelineCall(BaseModel):
    """One call.

    Attributes:
        name: Of the tool, or what the call is.
        item: The first item that came of it, among all items of the rollout; None: none did.
        start_s: Seconds after the first call began; None where the row has no times.
        elapsed_s: How long it took, likewise.
    """

    kind: CallKind
    name: str
    item: int | None
    start_s: float | None = None
    elapsed_s: float | None = None


def timeline_of(row: dict[str, Any]) -> list[TimelineCall]:
    """Return the calls of a rollout, at most 2,000."""
    made, result_by_id = _calls_of_items(row)
    timed = _timed(row)
    if not timed:
        return made[:MAX_CALLS]
    unplaced: dict[CallKind, list[TimelineCall]] = {
        kind: [call for call in made if call.kind == kind] for kind in ("model", "turn")
    }
    began_at = timed[0].at
    return [_placed(call, began_at, unplaced, result_by_id) for call in timed[:MAX_CALLS]]


def _placed(
    call: TimedCall,
    began_at: float,
    unplaced: dict[CallKind, list[TimelineCall]],
    result_by_id: dict[str, TimelineCall],
) -> TimelineCall:
    of_kind = unplaced.get(call.kind)
    found = result_by_id.get(call.call_id or "") if call.kind == "tool" else of_kind.pop(0) if of_kind else None
    return TimelineCall(
        kind=call.kind,
        name=found.name if found else call.kind,
        item=found.item if found else None,
        start_s=call.at - began_at,
        elapsed_s=call.elapsed_s,
    )


def _timed(row: dict[str, Any]) -> list[TimedCall]:
    try:
        return sorted(_TIMED.validate_python(row.get(CALLS_KEY) or []), key=lambda call: call.at)
    except ValidationError:  # somebody else's field
        return []


_TIMED = TypeAdapter(list[TimedCall])


def _calls_of_items(row: dict[str, Any]) -> tuple[list[TimelineCall], dict[str, TimelineCall]]:
    """Return what the items tell: the calls, and those of tools by call id.

    What stands between two results came from one model call.
    """
    prompt, output = raw_items(row)
    calls: list[TimelineCall] = []
    names: dict[str, str] = {}
    by_id: dict[str, TimelineCall] = {}
    was_given = True
    for place, item in enumerate(output, start=len(prompt)):
        head = item if isinstance(item, dict) else {}
        call_id, is_result = str(head.get("call_id", "")), head.get("type") == "function_call_output"
        if is_result:
            by_id[call_id] = TimelineCall(kind="tool", name=names.get(call_id, "tool"), item=place)
            calls.append(by_id[call_id])
        elif head.get("role") == "user":
            calls.append(TimelineCall(kind="turn", name="user", item=place))
        elif was_given:
            calls.append(TimelineCall(kind="model", name="model", item=place))
        if head.get("type") == "function_call":
            names[call_id] = str(head.get("name", "tool"))
        was_given = is_result or head.get("role") == "user"
    if "reward" in row:
        calls.append(TimelineCall(kind="verify", name="verify", item=None))
    return calls, by_id
