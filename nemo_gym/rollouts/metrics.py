"""What the rewards of a collection say: means, pass@k, tokens; kept small however many rollouts there are."""

from array import array
from collections import defaultdict
from typing import Any

from nemo_gym.rollouts.counts import Counts
from nemo_gym.rollouts.outcome import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY
from nemo_gym.rollouts.pass_at_k import pass_at_k

_NOT_METRICS = {TASK_INDEX_KEY, ROLLOUT_INDEX_KEY, "reward"}


class Metrics:
    """Sums over the scored rollouts. A masked rollout enters none of them."""

    def __init__(self) -> None:
        self._rewards: defaultdict[int, array[float]] = defaultdict(lambda: array("d"))
        self._reward_sum = 0.0
        self._num_scored = 0
        self._extra: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0])
        self.input_tokens = 0
        self.output_tokens = 0

    def add(self, row: dict[str, Any]) -> None:
        """Take in one scored rollout."""
        reward = float(row["reward"])
        self._rewards[row[TASK_INDEX_KEY]].append(reward)
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
        """Return counts, means, pass@k and mean@k, tokens. pass@k for 1, 2, 4 … where every scored task has k."""
        return {
            **counts.as_dict(),
            "mean_reward": self.mean_reward,
            "mean_reward_failed_as_0": self._mean_with_failed(counts),
            **self._at_k(),
            "mean_of": {key: total / n for key, (total, n) in sorted(self._extra.items())},
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
        }

    def _mean_with_failed(self, counts: Counts) -> float | None:
        n = self._num_scored + counts.failed
        return self._reward_sum / n if n else None

    def _at_k(self) -> dict[str, dict[str, float]]:
        rows = list(self._rewards.values())
        fewest = min(map(len, rows), default=0)
        if fewest < 2:
            return {}
        ks = [2**i for i in range(fewest.bit_length()) if 2**i <= fewest]
        if ks[-1] != fewest:
            ks.append(fewest)
        return {
            "pass@k": {str(k): pass_at_k(rows, k) for k in ks},
            "mean@k": {str(k): sum(sum(row[:k]) / k for row in rows) / len(rows) for k in ks},
        }

    def _add_usage(self, row: dict[str, Any]) -> None:
        response = row.get("response")
        usage = response.get("usage") if isinstance(response, dict) else None
        if isinstance(usage, dict):
            self.input_tokens += usage.get("input_tokens") or 0
            self.output_tokens += usage.get("output_tokens") or 0
