"""When failures end a collection, and when they must not."""

from collections.abc import Iterable

import pytest

from nemo_gym.collections.outcomes import Attempt, Outcome, Scored
from nemo_gym.rollouts.stop_rule import LIKELY_AT_START_AFTER, LIKELY_LATER_AFTER, SURE_AFTER, StopRule
from nemo_gym.wire.failure import Stage, rollout_error

GOOD = Scored({"_ng_task_index": 0, "_ng_rollout_index": 0, "reward": 0.0})


def failed(
    kind: str,
    task: int = 0,
    *,
    status: int = 500,
    server: str = "m",
    stage: Stage = "agent",
    terminal: bool | None = None,
) -> Outcome:
    error = rollout_error(kind, "r", server=server, status=status, stage=stage)
    if terminal is not None:
        error.failure = error.failure.model_copy(update={"terminal": terminal})
    return Attempt.begin(task, 0, 0, "agent").failed(error)


def stops_after(outcomes: Iterable[Outcome], rule: StopRule | None = None) -> int | None:
    """Return how many outcomes it takes until the rule says stop; None: it never does."""
    rule = rule or StopRule()
    return next((number for number, outcome in enumerate(outcomes, start=1) if rule.add(outcome) is not None), None)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("model_auth", 401), ("model_quota_exhausted", 429), ("model_bad_request", 404), ("input_invalid", 404)],
)
def test_a_failure_that_every_row_shares_ends_it_after_a_few_even_of_one_task(kind: str, status: int) -> None:
    assert stops_after(failed(kind, status=status) for _ in range(50)) == SURE_AFTER
    assert stops_after([GOOD, *(failed(kind, status=status) for _ in range(50))]) == 1 + SURE_AFTER


@pytest.mark.parametrize("kind", ["verifier_error", "turn_error"])
def test_an_environment_that_always_raises_ends_it_when_it_did_so_for_several_tasks(kind: str) -> None:
    raising = [failed(kind, task) for task in range(500)]
    assert stops_after(raising) == LIKELY_AT_START_AFTER
    assert stops_after([GOOD, *raising]) == 1 + LIKELY_LATER_AFTER


@pytest.mark.parametrize("kind", ["judge_failed", "user_failed"])
@pytest.mark.parametrize("status", [401, 403, 404, 429], ids=str)
def test_a_judge_or_user_that_refuses_everybody_ends_it_after_a_few(kind: str, status: int) -> None:
    assert stops_after(failed(kind, status=status, terminal=True) for _ in range(50)) == SURE_AFTER


@pytest.mark.parametrize("kind", ["judge_failed", "user_failed"])
def test_a_judge_or_user_that_is_busy_never_ends_it(kind: str) -> None:
    assert stops_after(failed(kind, task, status=429, terminal=False) for task in range(500)) is None


@pytest.mark.parametrize(("kind", "terminal"), [("judge_unparseable", False), ("judge_failed", True)])
def test_a_judge_without_a_verdict_ends_it_when_it_had_none_for_several_tasks(kind: str, terminal: bool) -> None:
    without = [failed(kind, task, status=400, terminal=terminal) for task in range(50)]
    assert stops_after(without) == LIKELY_AT_START_AFTER
    assert stops_after([GOOD, *without, GOOD, *without]) is None


def test_one_bad_task_with_many_repeats_never_ends_it() -> None:
    assert stops_after(failed("verifier_error", task=3) for _ in range(500)) is None


@pytest.mark.parametrize("kind", ["verifier_error", "model_bad_request", "agent_error"])
def test_bad_rows_among_good_ones_never_end_it(kind: str) -> None:
    bad = [failed(kind, task) for task in range(50)]
    assert stops_after([GOOD, *bad, GOOD, *bad]) is None
    assert stops_after([*bad[:9], GOOD, *bad]) is None


@pytest.mark.parametrize("kind", ["transport_unreachable", "model_rate_limited", "agent_timeout", "server_died"])
def test_what_time_may_heal_never_ends_it(kind: str) -> None:
    assert stops_after(failed(kind, task) for task in range(500)) is None


def test_rows_that_could_not_be_sent_never_end_it() -> None:
    assert stops_after(failed("input_invalid", task, stage="admission") for task in range(500)) is None


def test_failures_of_different_servers_are_counted_apart() -> None:
    outcomes = [failed("model_auth", server=f"model{number}") for number in range(4)] * 4
    assert stops_after(outcomes) is None


def test_strict_says_it_all() -> None:
    outcomes = [failed("transport_unreachable"), *(failed("model_auth") for _ in range(50))]
    assert stops_after(outcomes, StopRule(strict=True)) == 1
    assert stops_after(outcomes, StopRule(strict=False)) is None


def test_the_reason_says_what_failed_where_and_how_to_go_on_regardless() -> None:
    rule = StopRule()
    said = [rule.add(failed("model_auth")) for _ in range(SURE_AFTER)][-1]
    assert said is not None
    for part in (f"{SURE_AFTER} rollouts", "model_auth at m", "strict=false"):
        assert part in said
