"""Counts of a server's requests: plain numbers, since every request pays for them and few runs are ever scraped."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1200.0)
"""Upper bounds of the histogram, in seconds."""

OK, CANCELLED = "ok", "cancelled"
_OTHER = "other"
_MAX_OUTCOMES = 100
"""Outcomes counted by name for each route: failure kinds may come from anywhere."""


class RouteCounts:
    """Counts of one route. A request calls `begin`, and whatever happens `end`.

    Args:
        clock: Gives seconds.

    Attributes:
        in_flight: Requests that are being answered.
        outcomes: Requests by outcome: `ok`, a failure kind, `cancelled` (the caller has gone), or `http_<status>`.
        seconds: Sum of the times of all requests.
        by_bucket: Requests by the first of `BUCKETS_S` that their time doesn't exceed; one more for the rest.
    """

    __slots__ = ("_clock", "by_bucket", "in_flight", "outcomes", "seconds")

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.in_flight = 0
        self.outcomes: Counter[str] = Counter()
        self.seconds = 0.0
        self.by_bucket = [0] * (len(BUCKETS_S) + 1)

    def begin(self) -> float:
        """Count a request that begins; return when that was."""
        self.in_flight += 1
        return self._clock()

    def end(self, began_at: float, outcome: str) -> None:
        """Count its end."""
        seconds = self._clock() - began_at
        self.in_flight -= 1
        self.seconds += seconds
        self.by_bucket[bisect_left(BUCKETS_S, seconds)] += 1
        known = outcome in self.outcomes or len(self.outcomes) < _MAX_OUTCOMES
        self.outcomes[outcome if known else _OTHER] += 1


class ServerCounts:
    """Counts of all routes of one server."""

    def __init__(self) -> None:
        self._of_route: dict[str, RouteCounts] = {}

    def of(self, route: str) -> RouteCounts:
        """Return the counts of a route, by its path as it was declared."""
        counts = self._of_route.get(route)
        if counts is None:
            counts = self._of_route[route] = RouteCounts()
        return counts

    def __iter__(self) -> Iterator[tuple[str, RouteCounts]]:
        return iter(list(self._of_route.items()))  # a copy: the page is made in a thread
