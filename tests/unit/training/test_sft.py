"""Conversations for SFT: their form, and which are chosen."""

import json
from typing import Any

import pytest

from tests.unit.training.conftest import TOOL, Export, Row, rollout


def test_a_rollout_becomes_messages_with_tools_and_a_mask_on_what_the_policy_wrote(exported: Export) -> None:
    (row,), _ = exported([rollout(0, 0)], "sft")
    assert row["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Task 0?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "call_0_0", "type": "function", "function": {"name": "look_up", "arguments": {"key": "a"}}}
            ],
        },
        {"role": "tool", "content": "42", "tool_call_id": "call_0_0", "name": "look_up"},
        {"role": "assistant", "content": "Done."},
    ]
    assert row["loss_mask"] == [0, 0, 1, 0, 1]
    assert json.loads(row["tools"]) == [{"type": "function", "function": {k: TOOL[k] for k in ("name", "parameters")}}]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [(0, 0), (0, 1), (0, 2)]),
        ({"min_reward": 0.5}, [(0, 0), (0, 1)]),
        ({"best_of": 1}, [(0, 0)]),
        ({"best_of": 2, "deduplicate": False}, [(0, 0), (0, 3)]),
    ],
    ids=["each-once", "reward", "best", "with-duplicates"],
)
def test_rollouts_are_chosen_best_first(exported: Export, options: Row, kept: list[tuple[int, int]]) -> None:
    rows = [rollout(0, 0, 1.0), rollout(0, 1, 0.5, "b"), rollout(0, 2, 0.2, "c"), rollout(0, 3, 1.0)]
    exports, manifest = exported(rows, "sft", **options)
    assert [(row["task_index"], row["rollout_index"]) for row in exports] == kept
    assert manifest.used + sum(manifest.left_out.values()) == manifest.rollouts == 4


def test_conversations_that_differ_only_in_the_ids_of_calls_are_the_same(exported: Export) -> None:
    rows, manifest = exported([rollout(0, 0), rollout(0, 1)], "sft")
    assert (len(rows), manifest.left_out) == (1, {"duplicate": 1})


def test_answers_that_the_task_gave_are_never_taken_for_the_policys(exported: Export) -> None:
    asked = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Go"},
    ]
    row = rollout(0, 0, responses_create_params={"input": asked})
    rows, manifest = exported([row, rollout(1, 0)], "sft")
    assert ([row["task_index"] for row in rows], manifest.left_out) == ([1], {"answers_in_the_task": 1})
    (apart, _), _ = exported([row, rollout(1, 0)], "sft", layout="prompt_completion")
    assert [message["role"] for message in apart["prompt"]] == ["user", "assistant", "user"]
    assert apart["loss_mask"] == [0, 0, 0, 1, 0, 1]


def test_reasoning_goes_where_it_is_wanted(exported: Export) -> None:
    row = rollout(0, 0)
    row["response"]["output"].insert(0, {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]})
    firsts = {}
    for form in ("reasoning_content", "think_tags", "drop"):
        (out,), _ = exported([row], "sft", reasoning=form)
        firsts[form] = out["messages"][2]
    assert firsts["reasoning_content"]["reasoning_content"] == "Hm."
    assert "<think>" in firsts["think_tags"]["content"]
    assert "reasoning_content" not in firsts["drop"]
    assert firsts["drop"]["content"] == ""


def _output(*items: Any) -> Row:
    return {"response": {"model": "policy", "output": list(items), "status": "completed"}}


BROKEN_CALL = {"type": "function_call", "call_id": "c", "name": "look_up", "arguments": "{broken"}
PICTURE = {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"response": {"model": "policy", "output": []}}, "no_trajectory"),
        ({"response": {"model": "policy"}}, "no_trajectory"),
        (_output(BROKEN_CALL), "arguments_not_an_object"),
        (_output({"type": "web_search_call"}), "not_expressible"),
        (_output({**BROKEN_CALL, "arguments": '{"key": 123456789012345678901234567890}'}), "not_expressible"),
        (_output({**BROKEN_CALL, "arguments": '{"key": ' * 250 + "1" + "}" * 250}), "not_expressible"),
        (_output({**BROKEN_CALL, "arguments": '{"key": NaN}'}), "arguments_not_an_object"),
        (_output({**BROKEN_CALL, "arguments": "[" * 100_000}), "arguments_not_an_object"),
        ({"responses_create_params": {"input": [PICTURE]}}, "not_only_text"),
        ({"responses_create_params": {"input": []}}, "continues_an_answer"),
        ({"response": {**rollout(0, 0)["response"], "status": "incomplete"}}, "truncated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_a_conversation_is_left_out_and_counted(exported: Export, changes: Row, reason: str) -> None:
    rows, manifest = exported([rollout(0, 0, **changes), rollout(1, 0)], "sft")
    assert [row["task_index"] for row in rows] == [1]
    assert manifest.left_out == {reason: 1}
    assert manifest.left_out_examples[reason].startswith("task 0, repeat 0")


def test_arguments_may_stay_as_the_policy_wrote_them(exported: Export) -> None:
    (row,), _ = exported([rollout(0, 0, **_output(BROKEN_CALL))], "sft", arguments="text")
    assert row["messages"][-1]["tool_calls"][0]["function"]["arguments"] == "{broken"
