"""Estimates over the rollouts of a task."""

from collections.abc import Sequence
from math import comb


def pass_at_k(rewards: Sequence[Sequence[float]], k: int, *, threshold: float = 1.0) -> float:
    """Estimate the chance that at least one of `k` rollouts solves a task, averaged over tasks.

    Args:
        rewards: Rewards of scored rollouts, shape (num_tasks, num_rollouts), ragged allowed.
            A wrong answer belongs in here as 0.0; a rollout that failed or is masked does not.
        k: Rollouts drawn per task without replacement, 1 <= k <= the shortest row.
        threshold: A rollout counts as solved at reward >= threshold (reward units).

    Returns:
        Probability in [0, 1], not a percentage.

    Raises:
        ValueError: `rewards` is empty, `k` < 1, or a task has fewer than `k` rollouts.

    Source:
        1 - C(n-c, k) / C(n, k), arXiv:2107.03374, section 2.1.
    """
    if not rewards:
        raise ValueError("rewards is empty")
    if k < 1 or k > min(map(len, rewards)):
        raise ValueError(f"k={k} is not within 1 … {min(map(len, rewards))}, the fewest rollouts of a task")
    chances = []
    for row in rewards:
        solved = sum(reward >= threshold for reward in row)
        chances.append(1.0 - comb(len(row) - solved, k) / comb(len(row), k))
    return sum(chances) / len(chances)
