import random
from itertools import combinations
from typing import Any

import pytest

from nemo_gym.collections.counts import Counts
from nemo_gym.collections.metrics import Metrics, pass_at_k
from nemo_gym.collections.records import Attempt, Scored
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
