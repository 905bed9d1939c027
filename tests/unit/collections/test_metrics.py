import math
import random
import statistics
from itertools import combinations
from typing import Any

import pytest

from nemo_gym.collections.counts import Counts
from nemo_gym.collections.metrics.metrics import Metrics
from nemo_gym.collections.metrics.pass_at_k import pass_at_k
from nemo_gym.collections.outcomes import Attempt, Scored
from nemo_gym.wire.failure import rollout_error


def row(task: int, reward: float, **more: Any) -> tuple[int, float, bytes]:
    fields = {"_ng_task_index": task, "_ng_rollout_index": 0, "reward": reward, **more}
    return task, reward, Scored(fields).line


def brute_force(rewards: list[list[float]], k: int) -> float:
    chances = []
    for task in rewards:
        draws = list(combinations(task, k))
        chances.append(sum(any(reward >= 1.0 for reward in draw) for draw in draws) / len(draws))
    return sum(chances) / len(chances)


@pytest.mark.parametrize("seed", range(5))
def test_pass_at_k_is_the_share_of_all_draws_that_solve(seed: int) -> None:
    chance = random.Random(seed)
    rewards = [[chance.choice([0.0, 0.5, 1.0]) for _ in range(chance.randint(4, 8))] for _ in range(5)]
    for k in range(1, 5):
        assert pass_at_k(rewards, k) == pytest.approx(brute_force(rewards, k))


@pytest.mark.parametrize(("rewards", "k"), [([], 1), ([[1.0]], 0), ([[1.0], [1.0, 0.0]], 2)])
def test_pass_at_k_of_nothing_or_of_too_few_rollouts_is_refused(rewards: list[list[float]], k: int) -> None:
    with pytest.raises(ValueError, match=r"empty|k="):
        pass_at_k(rewards, k)


def test_metrics_give_pass_at_k_up_to_what_every_task_has() -> None:
    rewards = [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    metrics = Metrics()
    for task, of_task in enumerate(rewards):
        for reward in of_task:
            metrics.add(*row(task * 5, reward))
    result = metrics.as_dict(Counts(expected=7, scored=7))
    assert result["mean_reward"] == pytest.approx(2 / 7)
    assert result["pass@k"] == {str(k): pytest.approx(brute_force(rewards, k)) for k in (1, 2, 3)}
    assert result["mean@k"] == {"3": pytest.approx((1 / 3 + 1 / 4) / 2)}


def test_a_single_repeat_has_no_pass_at_k_and_no_rollout_has_no_mean() -> None:
    metrics = Metrics()
    assert metrics.as_dict(Counts(expected=1))["mean_reward"] is None
    metrics.add(*row(0, 1.0))
    assert "pass@k" not in metrics.as_dict(Counts(expected=1, scored=1))


def test_failed_rollouts_enter_only_the_mean_that_says_so() -> None:
    counts, metrics = Counts(expected=4), Metrics()
    for number in range(2):
        counts.add_verified(is_masked=False)
        metrics.add(*row(number, 1.0))
    counts.add(Attempt.begin(2, 0, 0, "agent").failed(rollout_error("agent_error", "no")))
    result = metrics.as_dict(counts)
    assert result["mean_reward"] == 1.0
    assert result["mean_reward_failed_as_0"] == pytest.approx(2 / 3)
    assert (result["scored"], result["failed"], result["not_settled"]) == (2, 1, 1)
    assert result["failed_by_kind"] == {"agent_error": 1}


def test_numbers_of_the_verifier_are_averaged_and_tokens_added_up_whatever_they_look_like() -> None:
    metrics = Metrics()
    metrics.add(*row(0, 1.0, accuracy=0.5, passed=True, name="x", response={"usage": {"input_tokens": 3}}))
    metrics.add(*row(1, 1.0, accuracy=1, response={"usage": {"input_tokens": "many", "output_tokens": None}}))
    metrics.add(*row(2, 1.0, response=None))
    result = metrics.as_dict(Counts(expected=3, scored=3))
    assert result["mean_of"] == {"accuracy": 0.75, "passed": 1.0}
    assert (result["input_tokens"], result["output_tokens"]) == (3, 0)


def test_tokens_of_judges_are_added_up_apart_from_those_of_the_policy() -> None:
    metrics = Metrics()
    assert metrics.as_dict(Counts(expected=2))["judge_calls"] == 0
    used = {"calls": 2, "input_tokens": 70, "output_tokens": 9}
    unknown = {"calls": 1, "input_tokens": None, "output_tokens": None}
    for task, usage in enumerate([used, unknown]):
        response = {"usage": {"input_tokens": 3, "output_tokens": 1}}
        metrics.add(*row(task, 1.0, judge_usage=usage, judge_disagreed=task == 0, response=response))
    result = metrics.as_dict(Counts(expected=2, scored=2))
    assert [result[f"judge_{name}"] for name in ("calls", "input_tokens", "output_tokens")] == [3, 70, 9]
    assert (result["input_tokens"], result["output_tokens"]) == (6, 2)
    assert result["per_rollout"]["judge_calls"] == {"mean": 1.5, "max": 2}
    assert result["mean_of"] == {"judge_disagreed": 0.5}


def test_the_standard_error_is_that_of_the_task_means_when_tasks_have_the_same_size() -> None:
    rewards = [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.5, 0.0], [1.0, 1.0, 1.0]]
    metrics = Metrics()
    for task, of_task in enumerate(rewards):
        for reward in of_task:
            metrics.add(*row(task, reward))
    expected = statistics.stdev(statistics.fmean(of_task) for of_task in rewards) / math.sqrt(len(rewards))
    assert metrics.as_dict(Counts(expected=12, scored=12))["standard_error"] == pytest.approx(expected)


def test_one_task_has_no_standard_error() -> None:
    metrics = Metrics()
    for reward in (0.0, 1.0):
        metrics.add(*row(3, reward))
    assert metrics.as_dict(Counts(expected=2, scored=2))["standard_error"] is None


def test_the_pass_threshold_is_a_setting_and_is_recorded() -> None:
    metrics = Metrics(pass_threshold=0.5)
    for reward in (0.5, 0.25, 0.0, 1.0):
        metrics.add(*row(0, reward))
    result = metrics.as_dict(Counts(expected=4, scored=4))
    assert result["pass_threshold"] == 0.5
    assert result["pass@k"]["1"] == 0.5


def test_tasks_are_told_one_by_one_in_columns() -> None:
    metrics = Metrics()
    for task, of_task in {9: [1.0, 1.0], 2: [0.0, 0.5], 4_000_000: [1.0, 0.0]}.items():
        for reward in of_task:
            metrics.add(*row(task, reward))
    result = metrics.as_dict(Counts(expected=6, scored=6))
    assert result["per_task"] == {
        "task_index": [2, 9, 4_000_000],
        "n": [2, 2, 2],
        "mean_reward": [0.25, 1.0, 0.5],
        "solved": [0, 2, 1],
    }
    assert [result[f"tasks_{which}"] for which in ("all_solved", "none_solved", "mixed")] == [1, 1, 1]


def test_counts_per_rollout_have_a_mean_and_a_largest_value_and_truncated_answers_a_share() -> None:
    metrics = Metrics()
    limit = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    metrics.add(*row(0, 1.0, response={"output": [{}], "usage": {"output_tokens": 10}}))
    metrics.add(*row(1, 1.0, response={"output": [], "usage": {"output_tokens": 2**48}, **limit}))
    metrics.add(*row(2, 1.0))
    result = metrics.as_dict(Counts(expected=3, scored=3))
    assert result["per_rollout"]["steps"] == {"mean": 0.5, "max": 1}
    assert result["per_rollout"]["output_tokens"] == {"mean": (10 + 2**48) / 2, "max": 2**48}
    assert result["truncated_share"] == pytest.approx(1 / 3)
    assert result["output_tokens"] == 10 + 2**48


def test_a_verifier_that_makes_up_names_does_not_fill_the_memory() -> None:
    metrics = Metrics()
    for task in range(1_100):
        metrics.add(*row(task, 1.0, **{f"name_{task}": 1}))
    assert len(metrics.as_dict(Counts(expected=1_100, scored=1_100))["mean_of"]) == 1_000
