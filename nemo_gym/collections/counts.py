"""The counts of a collection. They add up, always: expected = scored + masked + failed + not settled."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from nemo_gym.collections.outcomes import Failed, Outcome
from nemo_gym.collections.records import FailureRecord

_NO_KIND = "unnamed"


@dataclass
class Counts:
    """Outcomes so far. `expected` is tasks times repeats."""

    expected: int
    scored: int = 0
    masked: int = 0
    masked_by_kind: Counter[str] = field(default_factory=Counter)
    failed_by_kind: Counter[str] = field(default_factory=Counter)
    example_by_kind: dict[str, FailureRecord] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Rollouts without a valid reward."""
        return self.failed_by_kind.total()

    @property
    def settled(self) -> int:
        """Rollouts with an outcome."""
        return self.scored + self.masked + self.failed

    @property
    def not_settled(self) -> int:
        """Rollouts cut off or never begun: a resume runs them."""
        return self.expected - self.settled

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if isinstance(outcome, Failed):
            self.add_failure(outcome.record)
        else:
            self.add_verified(is_masked=outcome.is_masked, kind=outcome.mask_kind)

    def add_verified(self, *, is_masked: bool, kind: Any = None) -> None:
        """Count one rollout with a reward; `kind`: why it is masked, as its row says."""
        self.masked += is_masked
        self.scored += not is_masked
        if is_masked:
            self.masked_by_kind[kind if isinstance(kind, str) else _NO_KIND] += 1

    def add_failure(self, record: FailureRecord) -> None:
        """Count one failure, and keep the first of its kind as an example."""
        self.failed_by_kind[record.failure_kind] += 1
        self.example_by_kind.setdefault(record.failure_kind, record)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as the metrics file has them."""
        return {
            "expected": self.expected,
            "scored": self.scored,
            "masked": self.masked,
            "masked_by_kind": dict(self.masked_by_kind),
            "failed": self.failed,
            "failed_by_kind": dict(self.failed_by_kind),
            "not_settled": self.not_settled,
        }
