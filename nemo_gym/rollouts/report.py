"""What became of a collection, for a program or a summary."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nemo_gym.collections.counts import Counts
from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.reading.reader import CollectionReader, StoredRollout


@dataclass(frozen=True)
class CollectionReport:
    """What became of a collection. `seconds` is this run's wall time; `example`: lines of one with wrong token data."""

    counts: Counts
    metrics: dict[str, Any]
    paths: OutputPaths
    seconds: float
    resumed: int
    notes: tuple[str, ...]
    stopped_because: str | None
    example: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Tell whether every rollout has a reward."""
        return not (self.counts.failed or self.counts.not_settled)

    def rollouts(self) -> Iterator[StoredRollout]:
        """Yield the rollouts in the order in which they ended, read from the file one at a time."""
        return CollectionReader(self.paths.rollouts).rollouts()
