"""Each task of a collection in numbers: how often it was solved, how sure that is, how long its rollouts are."""

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from pydantic import BaseModel, Field

from nemo_gym.analysis.interval import wilson_interval
from nemo_gym.collections.metrics.measures import RolloutMeasures, measure
from nemo_gym.collections.reading.reader import CollectionReader, StoredRollout

_TOKENS_OF_A_PRICE = 1_000_000
_MEANS = ("steps", "tool_calls", "tool_errors", "input_tokens", "output_tokens")


class TaskProfile(BaseModel):
    """One task. All but the counts is over its scored rollouts, and null where there are none or they don't tell."""

    task_index: int = Field(description="Row in the task file, from 0.")
    n: int = Field(description="Scored rollouts.")
    masked: int
    failed: int = Field(description="Repeats that have a failure record and no rollout.")
    solved: int = Field(description="Rollouts with at least the pass threshold.")
    pass_rate: float | None = Field(default=None, description="solved / n.")
    pass_rate_low: float | None = Field(default=None, description="Lower end of its Wilson interval.")
    pass_rate_high: float | None = Field(default=None, description="Upper end.")
    mean_reward: float | None = None
    reward_variance: float | None = Field(default=None, description="Of the sample (n - 1); null below two rollouts.")
    min_reward: float | None = None
    max_reward: float | None = None
    steps: float | None = Field(default=None, description="Model calls, mean per rollout, as all that follow.")
    tool_calls: float | None = None
    tool_errors: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    truncated: float | None = Field(default=None, description="Share of answers cut off at max_output_tokens.")
    cost: float | None = Field(default=None, description="By the prices given; null without any.")


@dataclass(frozen=True)
class ProfileSettings:
    """How tasks are measured.

    Attributes:
        pass_threshold: A rollout solves its task at this reward or more.
        confidence: Of the intervals, in (0, 1).
        input_price: Of a million input tokens, in any currency; None: no cost is given.
        output_price: Of a million output tokens.
    """

    pass_threshold: float = 1.0
    confidence: float = 0.95
    input_price: float | None = None
    output_price: float | None = None


class _Scored(NamedTuple):
    reward: float
    measures: RolloutMeasures


def profile_tasks(reader: CollectionReader, settings: ProfileSettings) -> Iterator[TaskProfile]:
    """Yield the profile of each task, by task index; one task at a time is in memory.

    Args:
        reader: With a refreshed index. Of a repeat that was written twice the last row counts.
        settings: How to measure.

    Raises:
        DamagedFileError: The failures file holds something else.
    """
    failed = reader.failed_by_task()
    groups = groupby(reader.by_task(), key=lambda pair: pair[0].task_index)
    with_rollouts = ((task, [stored for _, stored in group]) for task, group in groups)
    only_failed: Iterator[tuple[int, list[StoredRollout]]] = ((task, []) for task, _ in failed.items())
    last = -1
    # A task that has both comes twice, with its rollouts first.
    for task, members in heapq.merge(with_rollouts, only_failed, key=lambda pair: (pair[0], not pair[1])):
        if task != last:
            yield _profile(task, members, int(failed[task]), settings)
        last = task


def _profile(task: int, members: Sequence[StoredRollout], failed: int, settings: ProfileSettings) -> TaskProfile:
    scored = [
        _Scored(stored.reward or 0.0, measure(stored.line.text)) for stored in members if stored.outcome == "scored"
    ]
    masked = sum(stored.outcome == "masked" for stored in members)
    solved = sum(rollout.reward >= settings.pass_threshold for rollout in scored)
    counts = {"task_index": task, "n": len(scored), "masked": masked, "failed": failed, "solved": solved}
    if not scored:
        return TaskProfile.model_validate(counts)
    rewards = [rollout.reward for rollout in scored]
    low, high = wilson_interval(solved, len(scored), settings.confidence)
    means = {name: _mean(rollout.measures.per_rollout.get(name) for rollout in scored) for name in _MEANS}
    return TaskProfile.model_validate(
        {
            **counts,
            "pass_rate": solved / len(scored),
            "pass_rate_low": low,
            "pass_rate_high": high,
            "mean_reward": math.fsum(rewards) / len(rewards),
            "reward_variance": _variance(rewards),
            "min_reward": min(rewards),
            "max_reward": max(rewards),
            **means,
            "truncated": _mean(rollout.measures.is_truncated for rollout in scored),
            "cost": _cost(means, settings),
        }
    )


def _mean(values: Iterable[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return math.fsum(told) / len(told) if told else None


def _variance(rewards: Sequence[float]) -> float | None:
    if len(rewards) < 2:
        return None
    mean = math.fsum(rewards) / len(rewards)
    return math.fsum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1)


def _cost(means: dict[str, float | None], settings: ProfileSettings) -> float | None:
    prices = ((settings.input_price, means["input_tokens"]), (settings.output_price, means["output_tokens"]))
    costs = [price * tokens for price, tokens in prices if price is not None and tokens is not None]
    return math.fsum(costs) / _TOKENS_OF_A_PRICE if costs else None
