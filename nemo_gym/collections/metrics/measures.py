"""What one rollout row says in numbers: the verifier's, steps, tool calls, tokens, whether the answer was truncated."""

import contextlib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import orjson
from msgspec import Raw

from nemo_gym.collections.records import ELAPSED_S_KEY, MASK_KEYS, ROLLOUT_INDEX_KEY, TASK_INDEX_KEY, TIME_KEYS

_NEVER_AVERAGED = frozenset(
    {TASK_INDEX_KEY, ROLLOUT_INDEX_KEY, "reward", "reward_parts", "response", *MASK_KEYS, *TIME_KEYS}
)
_PARTS = "reward_parts"
_PREFIX_BY_USAGE = {"judge_usage": "judge_", "user_usage": "user_"}
"""What models cost that aren't the policy: judges, and those that play the user."""
_MAX_COUNT = 2**48
_NUMBER_STARTS = frozenset(b"-0123456789tf")


class _Usage(msgspec.Struct):
    input_tokens: Any = None
    output_tokens: Any = None


class _OtherUsage(_Usage):
    calls: Any = None


class _Item(msgspec.Struct):
    type: Any = "message"
    role: Any = None
    output: Raw = Raw()


class _Incomplete(msgspec.Struct):
    reason: Any = None


class _Response(msgspec.Struct):
    status: Any = None
    incomplete_details: _Incomplete | None = None
    usage: _Usage | None = None
    output: list[_Item] = []


class _ToolResult(msgspec.Struct):
    error: Any = None


_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_RESPONSES = msgspec.json.Decoder(_Response)
_OTHER_USAGES = msgspec.json.Decoder(_OtherUsage)
_RESULTS = msgspec.json.Decoder(_ToolResult)
_NUMBERS = msgspec.json.Decoder(float | bool)
_SECONDS = msgspec.json.Decoder(float | None)
_TEXTS = msgspec.json.Decoder(str)


class RolloutMeasures(NamedTuple):
    """The numbers of one rollout.

    Attributes:
        numbers: What the verifier added, by field name; parts of the reward as `reward_parts.<name>`; booleans as 0, 1.
        per_rollout: Counts: turns (user messages), steps (model calls), tool_calls, tool_errors, input_tokens,
            output_tokens; of judges judge_calls, judge_input_tokens, judge_output_tokens; of models that play the user
            the same with user_; those that the row tells.
        is_truncated: The answer ended because it had reached `max_output_tokens`.
        elapsed_s: How long the rollout took, in seconds; None where the row doesn't tell.
    """

    numbers: Mapping[str, float]
    per_rollout: Mapping[str, int]
    is_truncated: bool
    elapsed_s: float | None = None


@dataclass(frozen=True)
class MeasuredRollout:
    """A verified rollout that another process has run and measured: its line, and what is counted of it.

    Attributes:
        mask_kind: Why it is masked, as its row says.
        line: The row as it is written.
    """

    key: tuple[int, int]
    reward: float
    is_masked: bool
    mask_kind: Any
    line: bytes
    measures: RolloutMeasures

    @property
    def row(self) -> dict[str, Any]:
        """The row, decoded."""
        row: dict[str, Any] = orjson.loads(self.line)
        return row


def measure(line: bytes, sent: Container[str] = ()) -> RolloutMeasures:
    """Return the measures of a rollout row.

    Args:
        line: The row as it is written; only what is counted is decoded.
        sent: Names of the fields of the task rows: those are inputs, not results.
    """
    fields = _FIELDS.decode(line)
    numbers: dict[str, float] = {}
    for name, raw in fields.items():
        if name not in _NEVER_AVERAGED and name not in sent:
            _add_number(numbers, name, raw)
    if _PARTS in fields and _PARTS not in sent and bytes(memoryview(fields[_PARTS])[:1]) == b"{":
        for part, raw in _FIELDS.decode(fields[_PARTS]).items():
            _add_number(numbers, f"{_PARTS}.{part}", raw)
    others: dict[str, int] = {}
    for name, prefix in _PREFIX_BY_USAGE.items():
        if name in fields and name not in sent:
            others |= _counts_of_others(fields[name], prefix)
    elapsed_s = _elapsed_s(fields.get(ELAPSED_S_KEY))
    response = _response(fields.get("response"))
    if response is None:
        return RolloutMeasures(numbers, others, is_truncated=False, elapsed_s=elapsed_s)
    details = response.incomplete_details
    truncated = response.status == "incomplete" and details is not None and details.reason == "max_output_tokens"
    return RolloutMeasures(numbers, _counts(response) | others, truncated, elapsed_s)


def _add_number(numbers: dict[str, float], name: str, raw: Raw) -> None:
    if memoryview(raw)[0] in _NUMBER_STARTS:
        with contextlib.suppress(msgspec.ValidationError):  # beyond the range of a float
            numbers[name] = float(_NUMBERS.decode(raw))


def _elapsed_s(raw: Raw | None) -> float | None:
    try:
        return None if raw is None else _SECONDS.decode(raw)
    except msgspec.ValidationError:  # a row that somebody else has made
        return None


def _response(raw: Raw | None) -> _Response | None:
    if raw is None:
        return None
    try:
        return _RESPONSES.decode(raw)
    except msgspec.ValidationError:  # a verifier may put anything there
        return None


def _counts(response: _Response) -> dict[str, int]:
    """Count; a step is one model call: the items between what the model was given came from one."""
    turns, steps, calls, errors = 1, 0, 0, 0
    was_generated = False
    for item in response.output:
        is_result = item.type == "function_call_output"
        is_from_user = item.role == "user"
        turns += is_from_user
        steps += not is_result and not is_from_user and not was_generated
        calls += item.type == "function_call"
        errors += is_result and _is_error(item.output)
        was_generated = not is_result and not is_from_user
    counts = {"turns": turns, "steps": steps, "tool_calls": calls, "tool_errors": errors}
    return counts | _tokens(response.usage, "")


def _counts_of_others(raw: Raw, prefix: str) -> dict[str, int]:
    """Count what a row tells of models that aren't the policy."""
    try:
        usage = _OTHER_USAGES.decode(raw)
    except msgspec.ValidationError:
        return {}
    calls = {f"{prefix}calls": usage.calls} if _is_count(usage.calls) else {}
    return calls | _tokens(usage, prefix)


def _tokens(usage: _Usage | None, prefix: str) -> dict[str, int]:
    if usage is None:
        return {}
    told = {f"{prefix}input_tokens": usage.input_tokens, f"{prefix}output_tokens": usage.output_tokens}
    return {name: count for name, count in told.items() if _is_count(count)}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT


def _is_error(output: Raw) -> bool:
    """Tell whether a tool result is a JSON object whose `error` says something: how agents report a failed call."""
    try:
        return bool(_RESULTS.decode(_TEXTS.decode(output)).error)
    except (msgspec.DecodeError, RecursionError):
        return False
