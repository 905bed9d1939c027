"""Items of a Responses `input` become chat messages."""

import pytest

from nemo_gym.models.chat import ChatOptions, to_chat_request

USER = {"role": "user", "content": "hi"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
ANSWER = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "yes", "annotations": [], "logprobs": []}],
}


def call(call_id, **fields):
    return {
        "type": "function_call",
        "id": f"fc_{call_id}",
        "call_id": call_id,
        "name": "f",
        "arguments": "{}",
        **fields,
    }


def result(call_id, output="done"):
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def chat_call(call_id):
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chat_result(call_id, content="done"):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def messages(items, **options):
    return to_chat_request({"input": items}, ChatOptions(**options)).body["messages"]


def assistant(*call_ids, content=None, **fields):
    calls = {"tool_calls": [chat_call(call_id) for call_id in call_ids]} if call_ids else {}
    return {"role": "assistant", "content": content, **fields, **calls}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param("hi", [USER], id="text"),
        pytest.param([{"type": "message", **USER}], [USER], id="short-message"),
        pytest.param(
            [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "hi"}],
                    "status": "completed",
                }
            ],
            [USER],
            id="full-message-of-one-text",
        ),
        pytest.param([{"role": "system", "content": ""}], [{"role": "system", "content": ""}], id="empty-text-is-kept"),
        pytest.param([{"role": "developer", "content": "d"}], [{"role": "developer", "content": "d"}], id="developer"),
        pytest.param([ANSWER], [assistant(content="yes")], id="answer"),
        pytest.param(
            [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
            [assistant(content=[{"type": "refusal", "refusal": "no"}])],
            id="refusal",
        ),
        pytest.param(
            [REASONING, ANSWER, call("a"), call("b"), result("b"), result("a")],
            [assistant("a", "b", content="yes", reasoning_content="hm"), chat_result("b"), chat_result("a")],
            id="one-step-is-one-message-and-results-keep-their-order",
        ),
        pytest.param(
            [call("a"), result("a"), call("b"), result("b")],
            [assistant("a"), chat_result("a"), assistant("b"), chat_result("b")],
            id="two-steps",
        ),
        pytest.param([ANSWER, ANSWER], [assistant(content="yes")] * 2, id="two-answers-stay-two"),
        pytest.param(
            [call("a"), REASONING, ANSWER, call("b"), result("a"), result("b")],
            [assistant("a", "b", content="yes", reasoning_content="hm"), chat_result("a"), chat_result("b")],
            id="what-stands-between-a-call-and-its-result-joins-the-call",
        ),
        pytest.param(
            [call("a"), ANSWER, ANSWER, result("a")],
            [assistant("a", content=[{"type": "text", "text": "yes"}] * 2), chat_result("a")],
            id="two-answers-beside-one-call-are-two-parts",
        ),
        pytest.param(
            [REASONING, USER, call("a")],
            [assistant(reasoning_content="hm"), USER, assistant("a")],
            id="a-user-message-ends-the-step",
        ),
        pytest.param(
            [{"type": "custom_tool_call", "call_id": "c", "name": "g", "input": "x"}],
            [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "g", "input": "x"}}],
                }
            ],
            id="custom-call",
        ),
        pytest.param(
            [result("a", [{"type": "input_text", "text": "1"}, {"type": "input_text", "text": "2"}])],
            [chat_result("a", [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}])],
            id="result-of-parts",
        ),
        pytest.param(
            [{**USER, "name": "ann"}, {**call("a"), "extra_content": {"signature": "s"}, "namespace": None}],
            [
                {**USER, "name": "ann"},
                {**assistant(), "tool_calls": [{**chat_call("a"), "extra_content": {"signature": "s"}}]},
            ],
            id="unpublished-fields-are-passed-on",
        ),
    ],
)
def test_items_become_messages(items, expected):
    assert messages(items) == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param(
            {"type": "input_image", "image_url": "data:x", "detail": "low", "file_id": None},
            {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
            id="image",
        ),
        pytest.param(
            {"type": "input_file", "file_data": "data:x", "filename": "a.pdf"},
            {"type": "file", "file": {"file_data": "data:x", "filename": "a.pdf"}},
            id="file",
        ),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            id="audio",
        ),
        pytest.param(
            {"type": "input_text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
            id="text-with-a-field-of-its-own",
        ),
    ],
)
def test_a_content_part_of_a_user_becomes_chats(part, expected):
    assert messages([{"role": "user", "content": [part]}]) == [{"role": "user", "content": [expected]}]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        pytest.param("drop", assistant("a", content="yes"), id="drop"),
        pytest.param(
            "reasoning_content", assistant("a", content="yes", reasoning_content="hm"), id="reasoning_content"
        ),
        pytest.param("reasoning", assistant("a", content="yes", reasoning="hm"), id="reasoning"),
        pytest.param("think_tags", assistant("a", content="<think>hm</think>yes"), id="think_tags"),
    ],
)
def test_reasoning_is_handed_back_as_the_option_says(form, expected):
    assert messages([REASONING, ANSWER, call("a")], reasoning=form) == [expected]


def test_reasoning_text_is_preferred_to_its_summary_and_an_empty_item_says_nothing():
    shown = {
        **REASONING,
        "content": [{"type": "reasoning_text", "text": "long"}, {"type": "reasoning_text", "text": "er"}],
    }
    assert messages([{**REASONING, "summary": []}, shown]) == [assistant(reasoning_content="long\ner")]


def test_think_blocks_of_a_step_stand_before_its_text():
    two = {**REASONING, "summary": [{"type": "summary_text", "text": "1"}, {"type": "summary_text", "text": "2"}]}
    refusing = {**ANSWER, "content": [{"type": "refusal", "refusal": "no"}]}
    blocks = "<think>1</think><think>2</think>"
    assert messages([two, ANSWER, two, refusing], reasoning="think_tags") == [
        assistant(content=f"{blocks}yes"),
        assistant(content=[{"type": "text", "text": blocks}, {"type": "refusal", "refusal": "no"}]),
    ]


def test_instructions_come_first_and_developer_messages_may_be_sent_as_system():
    request = {"instructions": "be brief", "input": [{"role": "developer", "content": "d"}]}
    body = to_chat_request(request, ChatOptions(developer_role="system")).body
    assert body["messages"] == [{"role": "system", "content": "be brief"}, {"role": "system", "content": "d"}]
