import json
from typing import Any

import pytest

from nemo_gym.collections.metrics.measures import measure


def line(**fields: Any) -> bytes:
    return json.dumps({"_ng_task_index": 0, "_ng_rollout_index": 0, "reward": 1.0, **fields}).encode()


def call(name: str) -> dict[str, Any]:
    return {"type": "function_call", "name": name, "arguments": "{}"}


def result(text: str) -> dict[str, Any]:
    return {"type": "function_call_output", "output": text}


MESSAGE = {"type": "message", "content": []}
USER = {"type": "message", "role": "user", "content": "And now?"}
REASONING = {"type": "reasoning"}


def test_numbers_that_the_verifier_added_are_measured_and_inputs_of_the_task_are_not() -> None:
    row = line(expected_value=7, accuracy=0.5, passed=True, name="x", nothing=None, many=[1], mask_sample=False)
    assert measure(row, sent={"expected_value"}).numbers == {"accuracy": 0.5, "passed": 1.0}


def test_the_parts_of_a_reward_are_measured_each_for_itself() -> None:
    row = line(reward_parts={"format": 1.0, "answer": 0, "note": "x", "exact": False})
    parts = {"reward_parts.format": 1.0, "reward_parts.answer": 0.0, "reward_parts.exact": 0.0}
    assert measure(row).numbers == parts
    assert measure(row, sent={"reward_parts"}).numbers == {}
    assert measure(line(reward_parts=[1])).numbers == {}


@pytest.mark.parametrize(
    ("output", "steps", "calls", "errors"),
    [
        pytest.param([], 0, 0, 0, id="nothing"),
        pytest.param([MESSAGE], 1, 0, 0, id="message"),
        pytest.param([call("a"), result("1"), MESSAGE, USER, MESSAGE], 3, 1, 0, id="two-turns"),
        pytest.param([REASONING, call("a"), call("b"), result("{}"), result("1"), MESSAGE], 2, 2, 0, id="two-calls"),
        pytest.param([call("a"), result('{"error": "no"}'), call("a"), result("ok")], 2, 2, 1, id="no-message"),
        pytest.param([call("a"), result('{"error": null}'), result("error"), result("[]")], 1, 1, 0, id="no-errors"),
        pytest.param([call("a"), {"type": "function_call_output", "output": {"error": 1}}], 1, 1, 0, id="no-text"),
    ],
)
def test_steps_calls_and_refused_calls_are_counted(
    output: list[dict[str, Any]], steps: int, calls: int, errors: int
) -> None:
    counts = measure(line(response={"output": output})).per_rollout
    assert counts == {"turns": 1 + (USER in output), "steps": steps, "tool_calls": calls, "tool_errors": errors}


@pytest.mark.parametrize(
    ("response", "truncated"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, True),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, False),
        ({"status": "incomplete"}, False),
        ({"status": "completed", "incomplete_details": None}, False),
    ],
)
def test_only_an_answer_that_ended_at_its_token_limit_is_truncated(response: dict[str, Any], truncated: bool) -> None:
    assert measure(line(response=response)).is_truncated is truncated


@pytest.mark.parametrize("value", [2**70, -1, "many", None, 1.5, [1]], ids=str)
def test_a_token_count_that_cannot_be_one_is_left_out(value: Any) -> None:
    counts = measure(line(response={"usage": {"input_tokens": 3, "output_tokens": value}})).per_rollout
    assert counts["input_tokens"] == 3
    assert "output_tokens" not in counts


def test_what_models_that_play_the_user_cost_is_counted_apart() -> None:
    row = line(response={}, user_usage={"calls": 2, "input_tokens": None, "output_tokens": 9, "total_tokens": None})
    counts = measure(row).per_rollout
    assert {name: counts[name] for name in counts if "user" in name} == {"user_calls": 2, "user_output_tokens": 9}


def test_what_judges_cost_is_counted_apart_from_the_policy() -> None:
    usage = {"input_tokens": 3, "output_tokens": 1}
    judge_usage = {"calls": 2, "input_tokens": 70, "output_tokens": 9, "total_tokens": 79}
    row = line(response={"usage": usage}, judge_usage=judge_usage)
    judged = {"judge_calls": 2, "judge_input_tokens": 70, "judge_output_tokens": 9}
    counts = measure(row).per_rollout
    assert counts == {"turns": 1, "steps": 0, "tool_calls": 0, "tool_errors": 0, **usage, **judged}
    assert measure(line(judge_usage=judge_usage)).per_rollout == judged, "also where the response was left out"
    assert measure(row, sent={"judge_usage"}).per_rollout.keys().isdisjoint(judged), "an input of the task"


@pytest.mark.parametrize("usage", [None, 3, "many", [1], {"calls": True}, {"input_tokens": -1}, {}], ids=str)
def test_a_judge_usage_of_another_shape_counts_nothing(usage: Any) -> None:
    assert measure(line(judge_usage=usage)).per_rollout == {}


@pytest.mark.parametrize("response", [None, "text", [1], {"output": "x"}, {"output": [1]}, {"usage": 3}], ids=str)
def test_a_response_of_another_shape_has_no_counts(response: Any) -> None:
    assert measure(line(response=response, accuracy=1)) == ({"accuracy": 1.0}, {}, False, None)


def test_a_number_beyond_every_float_does_not_end_a_collection() -> None:
    numbers = measure(b'{"reward": 1, "huge": 1' + b"0" * 400 + b', "fine": 2}').numbers
    assert numbers["fine"] == 2.0


@pytest.mark.parametrize(("told", "seconds"), [(1.5, 1.5), (2, 2.0), (None, None), ("long", None)], ids=str)
def test_the_time_of_a_rollout_is_told_apart_from_the_verifiers_numbers(told: Any, seconds: float | None) -> None:
    measures = measure(line(_ng_elapsed_s=told, _ng_started_at=1_700_000_000.5, _ng_calls=[]))
    assert (measures.elapsed_s, dict(measures.numbers)) == (seconds, {})
