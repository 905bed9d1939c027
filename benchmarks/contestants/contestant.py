"""What ours and the floor have in common: an address to post rollouts to, and processes to look at."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import psutil

Measured = TypeVar("Measured")


class Contestant(Protocol):
    """Something that answers POST /run."""

    @property
    def name(self) -> str:
        """`ours`, or which floor."""

    @property
    def run_url(self) -> str:
        """Where a rollout is posted to."""

    @property
    def headers(self) -> dict[str, str]:
        """What every request to its servers carries."""

    @property
    def health_urls(self) -> dict[str, str]:
        """`GET /health` of each server, by server name."""

    def processes(self) -> dict[str, psutil.Process]:
        """Its processes, by what they are."""


def alternate(
    contestants: Sequence[Contestant], pairs: int, measure: Callable[[Contestant], Measured]
) -> dict[str, list[Measured]]:
    """Measure each contestant `pairs` times, in turn; every second round runs backwards, so that drift cancels out."""
    found: dict[str, list[Measured]] = {contestant.name: [] for contestant in contestants}
    for number in range(pairs):
        for contestant in contestants if number % 2 == 0 else reversed(contestants):
            found[contestant.name].append(measure(contestant))
    return found
