"""The record of one rollout while it is made: the new items, the last Response, the usage of all model calls."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nemo_gym.openai_utils import RESPONSE_DEFAULTS, RawItem, RawOutputItem, RawResponse
from nemo_gym.server_utils import Failure
from nemo_gym.wire.json_object import JsonObject

_LARGEST_COUNT = 2**53  # an engine may write any number, and JSON libraries take none that is much larger


@dataclass
class Trajectory:
    """The new items of one rollout so far, as text.

    Attributes:
        mask: The first failure for which the rollout is to be masked.
    """

    items: list[RawItem] = field(default_factory=list)
    last: RawResponse | None = None
    usage: JsonObject | None = None
    mask: Failure | None = None

    def add_step(self, response: RawResponse, items: Sequence[RawOutputItem]) -> None:
        """Take in the answer of one model call, and the items in it."""
        self.items.extend(items)
        self.usage = add_usage(self.usage, _bounded(response.json_head.usage))
        self.last = response

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


def _bounded(usage: Any) -> Any:
    if isinstance(usage, dict):
        return {name: _bounded(value) for name, value in usage.items()}
    return max(-_LARGEST_COUNT, min(usage, _LARGEST_COUNT)) if isinstance(usage, int | float) else usage
