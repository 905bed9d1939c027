"""The check of a rollout's token data: does every model call continue the one before it, token for token?

A trainer joins the calls of a rollout to one sequence. That is right only where the prompt of each call begins with the
prompt and the generated ids of the call before it, and by induction with all ids of all calls before it. Every
prompt but the last is there again in the next one, so their texts are compared: numbers are read in failures alone.
"""

import math
from dataclasses import dataclass

import msgspec

from nemo_gym.collections.token_data.mismatch import PrefixMismatch, first_mismatch
from nemo_gym.collections.token_data.model_calls import LOG_PROBS, PROMPT_IDS, SAMPLED_IDS, ModelCall, model_calls

_FLOATS = msgspec.json.Decoder(list[float])
_IN_A_LIST_OF_IDS = b"0123456789, \t\r\n"


@dataclass(frozen=True)
class Violation:
    """What is wrong with the token data of a rollout: the first thing found, oldest call first.

    Attributes:
        reason: In one line, for a person.
        mismatch: Where ids differ, when that is what is wrong.
    """

    reason: str
    mismatch: PrefixMismatch | None = None


@dataclass(frozen=True)
class _Sequence:
    """All ids up to the end of a call, as `[1,2,3`; and the two arrays they come from."""

    call: int
    text: bytes
    arrays: tuple[bytes, bytes]

    def length_in(self, prompt: bytes) -> int:
        """Return how much of a prompt is these ids, which need no second look: all of them, or 0 bytes."""
        length = len(self.text)
        # What begins with `[1,2` may go on with another digit.
        return length if prompt.startswith(self.text) and prompt[length : length + 1] in (b",", b"]") else 0


def find_violation(line: bytes, *, required: bool = False) -> Violation | None:
    """Return what is wrong with the token data of a rollout row, or None.

    Args:
        line: The row as it is written; arrays with white space in them are right too, but have to be parsed.
        required: Every model call must have all three arrays, and there must be one; else what isn't there isn't
            checked. A call with some ids but not both lists of them is wrong either way.
    """
    calls = model_calls(line)
    if required and not any(call.arrays for call in calls):
        return Violation("no model call has token data")
    sequence: _Sequence | None = None
    for call in calls:
        if not call.arrays and not required:
            continue
        violation = _missing(call, required) or _wrong_ids(call, sequence) or _wrong_log_probs(call)
        if violation is not None:
            return violation
        prompt, sampled = call.arrays[PROMPT_IDS], call.arrays[SAMPLED_IDS]
        sequence = _Sequence(call.number, b"%b,%b" % (prompt[:-1], sampled[1:-1]), (prompt, sampled))
    return None


def _wrong(call: ModelCall, what: str) -> Violation:
    return Violation(f"model call {call.number}: {what}")


def _missing(call: ModelCall, required: bool) -> Violation | None:
    if not call.arrays:
        return _wrong(call, "no token data")
    wanted = (PROMPT_IDS, SAMPLED_IDS, LOG_PROBS) if required else (PROMPT_IDS, SAMPLED_IDS)
    missing = [name for name in wanted if name not in call.arrays]
    return _wrong(call, f"has {', '.join(call.arrays)}, but no {', '.join(missing)}") if missing else None


def _wrong_ids(call: ModelCall, earlier: _Sequence | None) -> Violation | None:
    prompt, sampled = call.arrays[PROMPT_IDS], call.arrays[SAMPLED_IDS]
    known = 0 if earlier is None else earlier.length_in(prompt)
    for name, text, start in ((PROMPT_IDS, prompt, known), (SAMPLED_IDS, sampled, 0)):
        if text == b"[]":
            return _wrong(call, f"{name} is empty")
        if text[start:].translate(None, _IN_A_LIST_OF_IDS) != (b"]" if start else b"[]"):
            return _wrong(call, f"{name} isn't a list of integers from 0 on: {_first_bad_id(text)}")
    if earlier is None or known:
        return None  # the usual case
    mismatch = first_mismatch(earlier.arrays, prompt, earlier_call=earlier.call, call=call.number)
    return None if mismatch is None else Violation(mismatch.words(), mismatch)


def _first_bad_id(text: bytes) -> str:
    value = msgspec.json.decode(text)
    if not isinstance(value, list):
        return f"it is {value!r:.40}"
    bad = ((at, token) for at, token in enumerate(value) if type(token) is not int or token < 0)
    return "position {} is {!r:.40}".format(*next(bad, (0, "-0")))


def _wrong_log_probs(call: ModelCall) -> Violation | None:
    text = call.arrays.get(LOG_PROBS)
    if text is None:
        return None
    try:
        log_probs = _FLOATS.decode(text)
    except msgspec.DecodeError as error:
        return _wrong(call, f"{LOG_PROBS} isn't a list of finite numbers: {error}")
    generated = call.arrays[SAMPLED_IDS].count(b",") + 1
    if len(log_probs) != generated:
        return _wrong(call, f"{len(log_probs)} {LOG_PROBS} for {generated} {SAMPLED_IDS}")
    if max(log_probs) > 0 or not math.isfinite(min(log_probs)):
        at = next(at for at, value in enumerate(log_probs) if not -math.inf < value <= 0)
        return _wrong(call, f"{LOG_PROBS} at position {at} is {log_probs[at]!r}, not a finite number up to 0")
    return None
