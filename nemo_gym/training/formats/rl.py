"""Token sequences with advantages, for policy-gradient training on rollouts that exist already."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from nemo_gym.collections.token_data.check import find_violation
from nemo_gym.collections.token_data.model_calls import LOG_PROBS, PROMPT_IDS, SAMPLED_IDS, ModelCall, model_calls
from nemo_gym.training.formats.format import ColumnKind, Row, kept
from nemo_gym.training.group import Group, LeftOutError, Rollout, Tally
from nemo_gym.training.options import ExportOptions

_ARRAYS = (PROMPT_IDS, SAMPLED_IDS, LOG_PROBS)
_IDS = msgspec.json.Decoder(list[int])
_FLOATS = msgspec.json.Decoder(list[float])


class _Span(msgspec.Struct):
    version: Any
    start: int
    end: int


@dataclass(frozen=True)
class TokenSequence:
    """All tokens of a rollout, in lists of the same length.

    Attributes:
        input_ids: Prompt, answers and tool results.
        loss_mask: 1 where the policy generated the token, else 0.
        log_probs: Natural logarithms under the policy that generated it; 0.0 where it didn't.
        prompt_length: Tokens before the first that the policy generated.
        weight_versions: Which weights sampled which tokens: `version`, `start` and `end` in `input_ids`, `end`
            excluded. Empty where the engine didn't say.
    """

    input_ids: list[int]
    loss_mask: list[int]
    log_probs: list[float]
    prompt_length: int
    weight_versions: list[dict[str, Any]]


def token_sequence(rollout: Rollout) -> TokenSequence:
    """Return the tokens of a rollout, whose model calls are one sequence: each prompt begins with all ids before it.

    Raises:
        LeftOutError: Token data is missing, lists differ in length, or the calls aren't one sequence.
    """
    calls = model_calls(rollout.line.text)
    violation = find_violation(rollout.line.text, required=True)
    if violation is not None:
        has_all = calls and all(len(call.arrays) == len(_ARRAYS) for call in calls)
        raise LeftOutError("token_data_invalid" if has_all else "no_token_data", violation.reason)
    input_ids = _IDS.decode(calls[-1].arrays[PROMPT_IDS]) + _IDS.decode(calls[-1].arrays[SAMPLED_IDS])
    mask, log_probs = [0] * len(input_ids), [0.0] * len(input_ids)
    versions: list[dict[str, Any]] = []
    for call in calls:
        start = _prompt_length(call)
        sampled = _FLOATS.decode(call.arrays[LOG_PROBS])
        mask[start : start + len(sampled)] = [1] * len(sampled)
        log_probs[start : start + len(sampled)] = sampled
        versions += _versions(call, start, len(sampled))
    return TokenSequence(input_ids, mask, log_probs, _prompt_length(calls[0]), versions)


def _versions(call: ModelCall, start: int, sampled: int) -> list[dict[str, Any]]:
    """Return the weight versions of a call, at the places that its tokens have in the whole sequence."""
    try:
        spans = msgspec.convert(call.weight_versions or [], list[_Span])
    except msgspec.ValidationError as error:
        raise LeftOutError("token_data_invalid", f"model call {call.number}: weight_versions: {error}") from error
    if not all(0 <= span.start <= span.end <= sampled for span in spans):
        what = f"weight_versions go beyond its {sampled} generated tokens"
        raise LeftOutError("token_data_invalid", f"model call {call.number}: {what}")
    return [{"version": span.version, "start": start + span.start, "end": start + span.end} for span in spans]


def _prompt_length(call: ModelCall) -> int:
    return call.arrays[PROMPT_IDS].count(b",") + 1  # checked not to be empty


def _centered(rewards: Sequence[float]) -> list[float]:
    if min(rewards) == max(rewards):
        return [0.0] * len(rewards)  # their mean may differ from them by rounding
    mean = math.fsum(rewards) / len(rewards)
    return [reward - mean for reward in rewards]


def _normalized(rewards: Sequence[float]) -> list[float]:
    centered = _centered(rewards)
    deviation = math.sqrt(math.fsum(value * value for value in centered) / len(centered))
    return [value / deviation for value in centered] if deviation else centered


def _leave_one_out(rewards: Sequence[float]) -> list[float]:
    # reward - mean of the others, which is this for each of them.
    factor = len(rewards) / (len(rewards) - 1)
    return [factor * value for value in _centered(rewards)]


ADVANTAGES: dict[str, Callable[[Sequence[float]], list[float]]] = {
    "mean": _centered,
    "normalized": _normalized,
    "leave_one_out": _leave_one_out,
}
"""Advantages of a group of at least two rewards; they sum to 0, but for rounding.

Sources: arXiv:2503.20783 (mean), arXiv:2402.03300 (normalized, by the population's standard deviation),
arXiv:2402.14740 (leave one out).
"""


class RlFormat:
    """One row for each rollout with token data in a group of at least two."""

    columns: Mapping[str, ColumnKind] = {
        "task_index": "integer",
        "rollout_index": "integer",
        "reward": "number",
        "advantage": "number",
        "prompt_length": "integer",
        "input_ids": "integers",
        "loss_mask": "integers",
        "log_probs": "numbers",
        "weight_versions": "objects",
    }

    def __init__(self, options: ExportOptions, tally: Tally) -> None:
        self._advantages = ADVANTAGES[options.advantage]
        self._tally = tally

    def rows(self, group: Group) -> Iterator[Row]:
        """Yield the rows of a group, whose advantages are over those that are exported."""
        members = kept(group, token_sequence, self._tally)
        if len(members) < 2:
            for rollout, _ in members:
                self._tally.leave_out("group_of_one", rollout)
            return
        advantages = self._advantages([rollout.reward for rollout, _ in members])
        for (rollout, sequence), advantage in zip(members, advantages, strict=True):
            yield {
                "task_index": rollout.task_index,
                "rollout_index": rollout.rollout_index,
                "reward": rollout.reward,
                "advantage": advantage,
                "prompt_length": sequence.prompt_length,
                "input_ids": sequence.input_ids,
                "loss_mask": sequence.loss_mask,
                "log_probs": sequence.log_probs,
                "weight_versions": sequence.weight_versions,
            }
