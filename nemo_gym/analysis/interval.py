"""An interval for a share of few rollouts."""

import math
from statistics import NormalDist


def wilson_interval(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """Return the Wilson score interval of a share.

    Unlike the usual mean ± error it stays within [0, 1] and doesn't shrink to a point at 0 of 4 or 4 of 4.

    Args:
        successes: Rollouts that solved the task, 0 <= successes <= n.
        n: Rollouts, at least 1.
        confidence: In (0, 1), for example 0.95.

    Returns:
        Lower and upper bound, in [0, 1].

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = successes / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # Exact at both ends, where rounding would leave 1e-17 or 1 - 1e-16.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == n else min(1.0, middle + half)
    return low, high
