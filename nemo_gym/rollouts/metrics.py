"""What the rewards of a collection say: means, pass@k, tokens; kept small however many rollouts there are."""

import math
from array import array
from collections import defaultdict
from typing import Any

from nemo_gym.rollouts.counts import Counts
from nemo_gym.rollouts.outcome import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY
from nemo_gym.rollouts.pass_at_k import pass_at_k_of_counts

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
