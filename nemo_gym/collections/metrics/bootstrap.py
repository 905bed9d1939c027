"""How sure a difference is, by drawing the tasks anew."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

_MOST_DRAWS = 20_000_000
_FEWEST_RESAMPLES = 200
_LARGE = _MOST_DRAWS // _FEWEST_RESAMPLES


@dataclass(frozen=True)
class Difference:
    """The mean of differences between pairs.

    Attributes:
        mean: Candidate minus baseline, over the pairs.
        low: Lower end of its interval.
        high: Upper end.
        p_value: Two-sided: the chance of such a difference, or a larger one, if there were none; in (0, 1].
        resamples: Draws of all pairs behind these; 0: the normal approximation.
    """

    mean: float
    low: float
    high: float
    p_value: float
    resamples: int


def paired_bootstrap(
    differences: Sequence[float], *, num_resamples: int, confidence: float, seed: int
) -> Difference | None:
    """Return the mean of the differences with its percentile interval; None for fewer than two.

    Args:
        differences: One for each pair.
        num_resamples: How often as many pairs are drawn with replacement; fewer for many pairs: 20 million draws in
            all. From 100,000 pairs on, where the mean is normal for all purposes, nothing is drawn.
        confidence: Of the interval, in (0, 1).
        seed: The same seed gives the same numbers.

    Source:
        B. Efron and R. Tibshirani, "An introduction to the bootstrap" (1993), chapters 13 and 16.
    """
    n = len(differences)
    if n < 2:
        return None
    mean = math.fsum(differences) / n
    if n >= _LARGE:
        return _normal(differences, mean, confidence)
    resamples = max(_FEWEST_RESAMPLES, min(num_resamples, _MOST_DRAWS // n))
    draw = random.Random(seed).choices
    means = sorted(sum(draw(differences, k=n)) / n for _ in range(resamples))
    tail = (1 - confidence) / 2
    low, high = (means[min(resamples - 1, int(share * resamples))] for share in (tail, 1 - tail))
    beyond = min(sum(value <= 0 for value in means), sum(value >= 0 for value in means))
    return Difference(mean, low, high, min(1.0, 2 * (beyond + 1) / (resamples + 1)), resamples)


def _normal(differences: Sequence[float], mean: float, confidence: float) -> Difference:
    n = len(differences)
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in differences) / (n - 1) / n)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * error
    if not error:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 1 / (n + 1), 0)
    return Difference(mean, mean - half, mean + half, math.erfc(abs(mean) / error / math.sqrt(2)), 0)
