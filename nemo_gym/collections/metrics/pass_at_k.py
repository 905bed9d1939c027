"""The chance that one of k rollouts solves a task, estimated without bias."""

from collections.abc import Iterable, Sequence
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
    return pass_at_k_of_counts(((len(row), sum(reward >= threshold for reward in row)) for row in rewards), k)


def pass_at_k_of_counts(tasks: Iterable[tuple[int, int]], k: int) -> float:
    """Return `pass_at_k` for tasks given as (scored rollouts, solved rollouts); raises ValueError as it does."""
    if k < 1:
        raise ValueError(f"k={k} is less than 1")
    chance_sum, num_tasks = 0.0, 0
    for scored, solved in tasks:
        if scored < k:
            raise ValueError(f"k={k}, but a task has only {scored} rollouts")
        chance_sum += 1.0 - comb(scored - solved, k) / comb(scored, k)
        num_tasks += 1
    if not num_tasks:
        raise ValueError("rewards is empty")
    return chance_sum / num_tasks
