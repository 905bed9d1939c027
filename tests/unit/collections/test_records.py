from typing import Any

import pytest

from nemo_gym.collections.outcomes import Attempt
from nemo_gym.collections.records import FailureRecord
from nemo_gym.wire.failure import Failure, RolloutError, rollout_error

ATTEMPT = Attempt.begin(3, 1, 2, "agent")


@pytest.mark.parametrize("reward", [0, 1, 0.5, -2.0])
def test_a_finite_number_is_a_reward(reward: float) -> None:
    scored = ATTEMPT.scored({"reward": reward, "extra": [1]})
    assert scored.reward == reward
    assert (scored.key, scored.row["extra"], scored.is_masked) == ((3, 1), [1], False)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"reward": None},
        {"reward": "1"},
        {"reward": True},
        {"reward": float("nan")},
        {"reward": float("inf")},
        [],
        1,
    ],
    ids=str,
)
def test_anything_else_is_a_failure_of_the_verifier(answer: Any) -> None:
    with pytest.raises(RolloutError) as caught:
        ATTEMPT.scored(answer)
    assert caught.value.failure.kind == "verifier_error"
    assert caught.value.failure.stage == "verification"


def test_a_failure_record_has_the_fields_of_its_page_and_comes_back_as_it_was() -> None:
    record = ATTEMPT.failed(rollout_error("tool_error", "it broke", server="tools", status=500)).record
    row = record.as_row()
    assert set(row) == {
        *("schema_version", "_ng_task_index", "_ng_rollout_index", "attempt", "rollout_id", "agent_ref"),
        *("failure_kind", "stage", "failure_reason", "origin", "delivery", "terminal", "started_at", "elapsed_s"),
    }
    assert (row["_ng_task_index"], row["_ng_rollout_index"], row["attempt"]) == (3, 1, 2)
    assert row["origin"] == {"server": "tools", "status": 500}
    assert FailureRecord.model_validate(row) == record


def test_a_reason_from_elsewhere_is_cut_to_its_limit() -> None:
    error = RolloutError(Failure(kind="theirs:odd", reason="x" * 9_999))
    assert len(ATTEMPT.failed(error).record.failure_reason) == 2_000
