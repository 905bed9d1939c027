"""The record of one rollout while it is made: the new items, the last Response, the usage of all model calls."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nemo_gym.openai_utils import RESPONSE_DEFAULTS, RawItem, RawOutputItem, RawResponse
from nemo_gym.server_utils import Failure
from nemo_gym.wire.environment import UserTurn
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.raw_json import encode

Limit = Literal["max_steps", "max_turns", "max_total_tokens", "context_length"]

_LARGEST_COUNT = 2**53  # an engine may write any number, and JSON libraries take none that is much larger


@dataclass
class Trajectory:
    """The new items of one rollout so far, as text.

    Attributes:
        mask: The first failure for which the rollout is to be masked.
        steps: Model calls.
        turns: User messages, the task's own as one.
        total_tokens: Of the conversation: prompt and answer of the last model call; 0 where the endpoint doesn't tell.
        user_usage: What models cost that played the user.
        stopped_by: The limit that ended the rollout, if one did.
    """

    items: list[RawItem] = field(default_factory=list)
    last: RawResponse | None = None
    usage: JsonObject | None = None
    mask: Failure | None = None
    steps: int = 0
    turns: int = 1
    total_tokens: int = 0
    user_usage: JsonObject | None = None
    stopped_by: Limit | None = None

    def add_step(self, response: RawResponse, items: Sequence[RawOutputItem]) -> None:
        """Take in the answer of one model call, and the items in it."""
        self.items.extend(items)
        usage = _bounded(response.json_head.usage)
        self.usage = add_usage(self.usage, usage)
        self.total_tokens = _total(usage or {})
        self.steps += 1
        self.last = response

    def add_turn(self, turn: UserTurn) -> bool:
        """Take in what the user said; tell whether it was a message, and not the end of the episode."""
        usage = None if turn.usage is None else _bounded(turn.usage.model_dump())
        self.user_usage = add_usage(self.user_usage, usage)
        if turn.message is None:
            return False
        self.items.append(RawItem(encode(turn.message)))
        self.turns += 1
        return True

    @property
    def is_cut_off(self) -> bool:
        """Whether the last answer is incomplete."""
        return self.last is not None and bool(self.last.json_head.incomplete_details)

    def verdict_fields(self) -> JsonObject:
        """Return the fields of the verify request that come from the rollout."""
        told = {"user_usage": self.user_usage, "stopped_by": self.stopped_by}
        return {"response": self.response(), **{name: value for name, value in told.items() if value is not None}}

    def response(self) -> RawResponse:
        """Return the last Response with every new item as its output, and the usage of all steps."""
        if self.last is None:
            raise ValueError("no model call has been answered")
        missing = RESPONSE_DEFAULTS.keys() - self.last.json_fields.keys()
        update: JsonObject = {"output": self.items, **{key: RESPONSE_DEFAULTS[key] for key in missing}}
        if self.usage is not None:
            update["usage"] = self.usage
        return self.last.json_with(**update)


def add_usage(total: JsonObject | None, more: JsonObject | None) -> JsonObject | None:
    """Return the sum of two usages, count by count; None counts as nothing."""
    if not total or not more:
        return total or more
    return {name: _sum(total.get(name), more.get(name)) for name in {**total, **more}}


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return add_usage(one, other)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one + other
    return one if other is None else other


def _total(usage: JsonObject) -> int:
    counts = (usage.get("input_tokens"), usage.get("output_tokens"))
    return sum(count for count in counts if isinstance(count, int))


def _bounded(usage: Any) -> Any:
    if isinstance(usage, dict):
        return {name: _bounded(value) for name, value in usage.items()}
    return max(-_LARGEST_COUNT, min(usage, _LARGEST_COUNT)) if isinstance(usage, int | float) else usage
