"""Many numbers as few: histograms, thinned lines, means over a sequence."""

import itertools
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel

_MAX_VALUES = 12
_BINS = 24
_BUCKETS = 60
_PER_BUCKET = 8


class Histogram(BaseModel):
    """How often numbers occur.

    Attributes:
        edges: Bounds of the bins, one more than `counts`; or as many: then each is the value that is counted.
    """

    edges: list[float]
    counts: list[int]
    n: int
    mean: float
    median: float
    p90: float
    min: float
    max: float


def histogram(values: Iterable[float]) -> Histogram | None:
    """Return the histogram of the finite ones among numbers; None for none.

    Up to 12 different values are counted one by one.
    """
    by_value = Counter(values)
    for value in [value for value in by_value if not math.isfinite(value)]:
        del by_value[value]
    if not by_value:
        return None
    ordered, n = sorted(by_value), by_value.total()
    low, high = ordered[0], ordered[-1]
    if len(ordered) <= _MAX_VALUES:
        edges, counts = ordered, [by_value[value] for value in ordered]
    else:
        edges, counts = _binned(by_value, low, high)
    below = list(itertools.accumulate(by_value[value] for value in ordered))
    return Histogram(
        edges=edges,
        counts=counts,
        n=n,
        mean=math.fsum(value * count for value, count in by_value.items()) / n,
        median=ordered[bisect_right(below, n // 2)],
        p90=ordered[bisect_right(below, min(n - 1, n * 9 // 10))],
        min=low,
        max=high,
    )


def thinned(values: Sequence[float], most: int) -> list[float]:
    """Return at most so many of the values, evenly spread, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


def series_means(values: Sequence[float]) -> list[float]:
    """Return the means of up to 60 equal stretches of a sequence, each of at least 8 values where there are as many."""
    buckets = min(_BUCKETS, max(len(values) // _PER_BUCKET, min(len(values), 2)))
    bounds = [len(values) * place // buckets for place in range(buckets + 1)] if buckets else []
    return [math.fsum(values[a:b]) / (b - a) for a, b in itertools.pairwise(bounds)]


def _binned(by_value: Counter[float], low: float, high: float) -> tuple[list[float], list[int]]:
    width = (high - low) / _BINS
    if not math.isfinite(width) or width <= 0:  # the range is beyond a float, or below its precision
        return [low, high], [by_value.total()]
    counts = [0] * _BINS
    for value, count in by_value.items():
        counts[min(_BINS - 1, int((value - low) / width))] += count
    return [low + width * place for place in range(_BINS)] + [high], counts
