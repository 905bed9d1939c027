"""What the rewards of a collection say: means, pass@k, tokens; kept small however many rollouts there are."""

import math
import operator
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nemo_gym.collections.counts import Counts
from nemo_gym.collections.metrics.measures import RolloutMeasures, measure
from nemo_gym.collections.metrics.pass_at_k import pass_at_k_of_counts
from nemo_gym.collections.reading.paged_array import PagedArray


class Spread(BaseModel):
    """A count per rollout, over the rollouts that tell it."""

    mean: float
    max: int


class PerTask(BaseModel):
    """The scored rollouts of each task, as columns of the same length; tasks without any are left out."""

    task_index: list[int] = Field(description="Row in the input, from 0; the first of the rows that are one task.")
    n: list[int] = Field(description="Scored rollouts.")
    mean_reward: list[float]
    solved: list[int] = Field(description="Rollouts with at least the pass threshold.")


class MetricsRecord(BaseModel):
    """The content of `<stem>_metrics.json`. Masked and failed rollouts enter nothing but the counts."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    expected: int
    scored: int
    masked: int
    masked_by_kind: dict[str, int] = Field(default={}, description="By `failure_kind`; `unnamed` where a row has none.")
    failed: int
    failed_by_kind: dict[str, int]
    not_settled: int
    mean_reward: float | None
    standard_error: float | None = Field(description="Of the mean reward, clustered by task; null below two tasks.")
    mean_reward_failed_as_0: float | None
    pass_threshold: float = Field(description="A rollout solves its task at this reward or more.")
    pass_at_k: dict[str, float] | None = Field(default=None, alias="pass@k")
    mean_at_k: dict[str, float] | None = Field(default=None, alias="mean@k")
    mean_of: dict[str, float] = Field(description="Numbers that the verifier added; booleans as shares.")
    truncated_share: float | None = Field(description="Answers cut off at max_output_tokens, in [0, 1].")
    per_rollout: dict[str, Spread] = Field(
        description="turns, steps, tool_calls, tool_errors, input_tokens, output_tokens; with a judge judge_calls, "
        "judge_input_tokens, judge_output_tokens; with a model that plays the user the same with user_."
    )
    input_tokens: int = Field(description="Of the policy.")
    output_tokens: int = Field(description="Of the policy.")
    judge_calls: int = Field(default=0, description="Calls to judges; 0: the verifier asks none.")
    judge_input_tokens: int = Field(default=0, description="Of judges.")
    judge_output_tokens: int = Field(default=0, description="Of judges.")
    user_calls: int = Field(default=0, description="Calls to models that play the user; 0: there are none.")
    user_input_tokens: int = Field(default=0, description="Of models that play the user.")
    user_output_tokens: int = Field(default=0, description="Of models that play the user.")
    tasks_all_solved: int
    tasks_none_solved: int
    tasks_mixed: int
    per_task: PerTask
    seconds: float | None = Field(default=None, description="Wall time of the last start.")


_MAX_NAMES = 1_000
"""Numbers that are averaged, by name: a verifier that makes up names can't fill the memory."""


_TOTALS = (
    "input_tokens",
    "output_tokens",
    *(f"{who}_{what}" for who in ("judge", "user") for what in ("calls", "input_tokens", "output_tokens")),
)


@dataclass(slots=True)
class _Sum:
    total: float = 0.0
    n: int = 0
    max: float = 0.0

    def add(self, value: float) -> None:
        self.total += value
        self.n += 1
        if value > self.max:
            self.max = value


class Metrics:
    """Sums over the scored rollouts. A masked rollout enters none of them.

    Args:
        pass_threshold: A rollout solves its task at this reward or more.
        sent: Names of the fields of the task rows, which aren't results; may be set until the first rollout.
    """

    def __init__(self, pass_threshold: float = 1.0, sent: Container[str] = ()) -> None:
        self.pass_threshold = pass_threshold
        self.sent = sent
        self._scored, self._solved, self._reward_by_task = PagedArray("I"), PagedArray("I"), PagedArray("d")
        self._reward = _Sum()
        self._numbers: dict[str, _Sum] = {}
        self._per_rollout: dict[str, _Sum] = {}
        self._truncated = 0

    def add(self, task_index: int, reward: float, line: bytes) -> None:
        """Take in one scored rollout; `line`: its row as it is written."""
        self.add_measured(task_index, reward, measure(line, self.sent))

    def add_measured(self, task_index: int, reward: float, measures: RolloutMeasures) -> None:
        """Take in one scored rollout with its measures."""
        self._scored.add(task_index, 1)
        self._solved.add(task_index, reward >= self.pass_threshold)
        self._reward_by_task.add(task_index, reward)
        self._reward.add(reward)
        self._add_measures(measures)

    @property
    def mean_reward(self) -> float | None:
        """Mean over the scored rollouts; None before the first."""
        return self._reward.total / self._reward.n if self._reward.n else None

    def as_dict(self, counts: Counts) -> dict[str, Any]:
        """Return the metrics as they are written: see `MetricsRecord`.

        pass@k for k = 1, 2, 4 … up to the rollouts that every scored task has, when that is at least 2; mean@k for the
        largest: the mean over tasks of each task's mean, so a task with more rollouts weighs no more.
        """
        return self.record(counts).model_dump(exclude_none=False, exclude=self._absent())

    def record(self, counts: Counts) -> MetricsRecord:
        """Return the metrics."""
        per_task = self._per_task()
        all_solved = sum(map(operator.eq, per_task.n, per_task.solved))
        none_solved = per_task.solved.count(0)
        return MetricsRecord(
            **counts.as_dict(),
            mean_reward=self.mean_reward,
            standard_error=standard_error(per_task),
            mean_reward_failed_as_0=self._mean_with_failed(counts),
            pass_threshold=self.pass_threshold,
            **at_k(per_task),
            mean_of={name: number.total / number.n for name, number in sorted(self._numbers.items())},
            truncated_share=self._truncated / self._reward.n if self._reward.n else None,
            per_rollout={
                name: Spread(mean=count.total / count.n, max=int(count.max))
                for name, count in self._per_rollout.items()
            },
            **{name: self._total(name) for name in _TOTALS},
            tasks_all_solved=all_solved,
            tasks_none_solved=none_solved,
            tasks_mixed=len(per_task.n) - all_solved - none_solved,
            per_task=per_task,
        )

    def _absent(self) -> set[str]:
        return {"seconds", *(() if self._has_groups() else ("pass_at_k", "mean_at_k"))}

    def _has_groups(self) -> bool:
        return min((n for _, n in self._scored.items()), default=0) >= 2

    def _add_measures(self, measures: RolloutMeasures) -> None:
        for sums, values in ((self._numbers, measures.numbers), (self._per_rollout, measures.per_rollout)):
            for name, value in values.items():
                known = sums.get(name)
                if known is None:
                    if len(sums) >= _MAX_NAMES:
                        continue
                    known = sums[name] = _Sum()
                known.add(value)
        self._truncated += measures.is_truncated

    def _mean_with_failed(self, counts: Counts) -> float | None:
        n = self._reward.n + counts.failed
        return self._reward.total / n if n else None

    def _total(self, name: str) -> int:
        count = self._per_rollout.get(name)
        return 0 if count is None else min(int(count.total), 2**63 - 1)

    def _per_task(self) -> PerTask:
        # Not validated, and built column by column: there may be a million tasks.
        table = PerTask.model_construct(task_index=[], n=[], mean_reward=[], solved=[])
        for task, n in self._scored.items():
            table.task_index.append(task)
            table.n.append(int(n))
            table.mean_reward.append(self._reward_by_task[task] / n)
            table.solved.append(int(self._solved[task]))
        return table


def standard_error(per_task: PerTask) -> float | None:
    """Return the standard error of the mean reward over rollouts, clustered by task; None below two tasks.

    Rollouts of one task resemble each other, so the task is what is drawn at random.

    Source:
        arXiv:2411.00640, section 2.2.
    """
    tasks, rollouts = len(per_task.n), sum(per_task.n)
    if tasks < 2:
        return None
    sums = [n * of_task for n, of_task in zip(per_task.n, per_task.mean_reward, strict=True)]
    mean = math.fsum(sums) / rollouts
    deviations = ((total - n * mean) ** 2 for n, total in zip(per_task.n, sums, strict=True))
    return math.sqrt(math.fsum(deviations) * tasks / (tasks - 1)) / rollouts


def at_k(per_task: PerTask) -> dict[str, Any]:
    """Return pass_at_k and mean_at_k by k, as text, as far as every task has rollouts; nothing below two."""
    means, fewest = per_task.mean_reward, min(per_task.n, default=0)
    if fewest < 2:
        return {}
    ks = {2**i for i in range(fewest.bit_length())} | {fewest}
    return {
        "pass_at_k": {
            str(k): pass_at_k_of_counts(zip(per_task.n, per_task.solved, strict=True), k) for k in sorted(ks)
        },
        "mean_at_k": {str(fewest): math.fsum(means) / len(means)},
    }
