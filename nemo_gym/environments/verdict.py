"""A verdict with more to say than one number."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nemo_gym.wire.json_object import JsonObject


@dataclass(frozen=True)
class Verdict:
    """A reward, and what else is written into the rollout.

    Attributes:
        reward: Finite; higher is better.
        parts: Named parts of the reward, which the metrics show each for itself.
        fields: Further fields of the row. Numbers among them are metrics.
    """

    reward: float
    parts: Mapping[str, float] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_parts(
        cls,
        parts: Mapping[str, float],
        *,
        weights: Mapping[str, float] | None = None,
        gates: tuple[str, ...] = (),
        **fields: Any,
    ) -> "Verdict":
        """Return the weighted mean of parts; it is 0 when a part that is a gate is 0.

        Args:
            parts: By name, as a rule in [0, 1].
            weights: By name; a part without one counts 1, and gates count 0 unless they have one.
            gates: Parts without which nothing else counts.
            fields: Further fields of the row.

        Raises:
            ValueError: A weight or a gate names no part, a weight is negative, or all are 0 without a gate.
        """
        unknown = ({*(weights or {}), *gates}) - parts.keys()
        if unknown:
            raise ValueError(f"there is no part {', '.join(sorted(unknown))}; the parts are: {', '.join(parts)}")
        weight_of = {name: (weights or {}).get(name, 0.0 if name in gates else 1.0) for name in parts}
        if min(weight_of.values(), default=0.0) < 0:
            raise ValueError("weights can't be negative")
        total = math.fsum(weight_of.values())
        if any(not parts[gate] for gate in gates):
            return cls(0.0, parts, fields)
        if not total:
            if not gates:
                raise ValueError("at least one part needs a weight above 0")
            return cls(1.0, parts, fields)
        return cls(math.fsum(weight_of[name] * value for name, value in parts.items()) / total, parts, fields)

    def row(self) -> JsonObject:
        """Return its fields of a rollout row."""
        parts: JsonObject = {"reward_parts": {name: float(value) for name, value in self.parts.items()}}
        return {**self.fields, **(parts if self.parts else {}), "reward": float(self.reward)}
