"""What the rewards of a collection say: means, pass@k, tokens; kept small however many rollouts there are."""

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import comb
from typing import Any

from nemo_gym.collections.counts import Counts
from nemo_gym.collections.records import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY


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


SOLVED_REWARD = 1.0
"""A rollout with at least this reward solved its task (pass@k)."""

_NOT_METRICS = {TASK_INDEX_KEY, ROLLOUT_INDEX_KEY, "reward"}


class Metrics:
    """Sums over the scored rollouts. A masked rollout enters none of them."""

    def __init__(self) -> None:
        # Three flat arrays indexed by task: 16 bytes for each of hundreds of thousands of tasks.
        self._scored, self._solved, self._reward_by_task = array("I"), array("I"), array("d")
        self._reward_sum = 0.0
        self._num_scored = 0
        self._extra: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0])
        self.input_tokens = 0
        self.output_tokens = 0

    def add(self, row: dict[str, Any]) -> None:
        """Take in one scored rollout."""
        reward = float(row["reward"])
        self._add_to_task(row[TASK_INDEX_KEY], reward)
        self._reward_sum += reward
        self._num_scored += 1
        for key, value in row.items():
            if isinstance(value, int | float) and key not in _NOT_METRICS:
                total = self._extra[key]
                total[0] += value
                total[1] += 1
        self._add_usage(row)

    @property
    def mean_reward(self) -> float | None:
        """Mean over the scored rollouts; None before the first."""
        return self._reward_sum / self._num_scored if self._num_scored else None

    def as_dict(self, counts: Counts) -> dict[str, Any]:
        """Return counts, means, pass@k and mean@k, tokens.

        pass@k for k = 1, 2, 4 … up to the rollouts that every scored task has, when that is at least 2; mean@k for the
        largest: the mean over tasks of each task's mean, so a task with more rollouts weighs no more.
        """
        return {
            **counts.as_dict(),
            "mean_reward": self.mean_reward,
            "mean_reward_failed_as_0": self._mean_with_failed(counts),
            **self._at_k(),
            "mean_of": {key: total / n for key, (total, n) in sorted(self._extra.items())},
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
        }

    def _add_to_task(self, task: int, reward: float) -> None:
        missing = task + 1 - len(self._scored)
        if missing > 0:
            for of_tasks in (self._scored, self._solved, self._reward_by_task):
                of_tasks.frombytes(bytes(of_tasks.itemsize * missing))
        self._scored[task] += 1
        self._solved[task] += reward >= SOLVED_REWARD
        self._reward_by_task[task] += reward

    def _mean_with_failed(self, counts: Counts) -> float | None:
        n = self._num_scored + counts.failed
        return self._reward_sum / n if n else None

    def _at_k(self) -> dict[str, dict[str, float]]:
        tasks = [(n, solved) for n, solved in zip(self._scored, self._solved, strict=True) if n]
        fewest = min((n for n, _ in tasks), default=0)
        if fewest < 2:
            return {}
        ks = {2**i for i in range(fewest.bit_length())} | {fewest}
        means = [total / n for total, n in zip(self._reward_by_task, self._scored, strict=True) if n]
        return {
            "pass@k": {str(k): pass_at_k_of_counts(tasks, k) for k in sorted(ks)},
            "mean@k": {str(fewest): math.fsum(means) / len(means)},
        }

    def _add_usage(self, row: dict[str, Any]) -> None:
        response = row.get("response")
        usage = response.get("usage") if isinstance(response, dict) else None
        if isinstance(usage, dict):
            self.input_tokens += _count(usage.get("input_tokens"))
            self.output_tokens += _count(usage.get("output_tokens"))


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
