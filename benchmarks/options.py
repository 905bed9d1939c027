"""What a person may choose for a run of the benchmarks."""

from dataclasses import dataclass
from pathlib import Path

COLOCATE = "+colocate=true"


@dataclass(frozen=True)
class Options:
    """Choices for all scenes; None means the scene's own default.

    Attributes:
        pairs: Measurements of ours and of what it is compared with, each.
        concurrency: Rollouts at once, one comparison for each.
        rollouts: Rollouts in one measurement.
        tasks: Rows of the large task file.
        in_flight: Rollouts at once in the scene of that name.
        colocate: The scenes that have no mode of their own run ours colocated, against the colocated floor.
        limit_s: Longest one scene may take.
        out: Folder of the result files.
    """

    pairs: int
    concurrency: tuple[int, ...] | None
    rollouts: int | None
    tasks: int
    in_flight: int
    colocate: bool
    limit_s: float
    out: Path

    @property
    def overrides(self) -> tuple[str, ...]:
        """What `ng_run` is told beyond the configuration."""
        return (COLOCATE,) if self.colocate else ()

    @property
    def mode(self) -> str:
        """Name of the mode, for texts."""
        return "colocated" if self.colocate else "separate processes"

    def rollouts_at(self, concurrency: int) -> int:
        """Return how many rollouts a measurement has: enough for every connection to be used again."""
        return self.rollouts or max(500, min(4000, 50 * concurrency))
