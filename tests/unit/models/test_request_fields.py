"""Everything of a request but its conversation, in both directions."""

import pytest

from nemo_gym.models.chat import ChatOptions, to_chat_request, to_responses_request

FUNCTION = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
CHAT_FUNCTION = {"type": "function", "function": {key: FUNCTION[key] for key in FUNCTION if key != "type"}}
CUSTOM = {"type": "custom", "name": "g", "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"}}
CHAT_CUSTOM = {
    "type": "custom",
    "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}},
}
SCHEMA = {"name": "n", "schema": {"type": "object"}, "strict": True}
TOOLS = {"tools": [FUNCTION]}, {"tools": [CHAT_FUNCTION]}
SAME = {
    "model": "m",
    "temperature": 0,
    "top_p": 0.5,
    "metadata": {"a": "b"},
    "user": "u",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "service_tier": "flex",
    "store": False,
    "stop": ["x"],
    "seed": 1,
    "chat_template_kwargs": {"enable_thinking": False},
}


def with_tools(responses, chat):
    return {**TOOLS[0], **responses}, {**TOOLS[1], **chat}


PAIRS = [
    pytest.param(SAME, SAME, id="same-in-both-or-passed-on"),
    pytest.param(*TOOLS, id="function"),
    pytest.param({"tools": [CUSTOM]}, {"tools": [CHAT_CUSTOM]}, id="custom-tool"),
    pytest.param(*with_tools({"tool_choice": "required"}, {"tool_choice": "required"}), id="choice-by-word"),
    pytest.param(*with_tools({"parallel_tool_calls": False}, {"parallel_tool_calls": False}), id="parallel"),
    pytest.param(
        {"tool_choice": {"type": "function", "name": "f"}},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        id="choice-of-a-function",
    ),
    pytest.param(
        {"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}},
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            }
        },
        id="allowed-tools",
    ),
    pytest.param(
        {"text": {"format": {"type": "json_schema", **SCHEMA}, "verbosity": "low"}},
        {"response_format": {"type": "json_schema", "json_schema": SCHEMA}, "verbosity": "low"},
        id="json-schema-and-verbosity",
    ),
    pytest.param(
        {"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}, id="json-object"
    ),
    pytest.param({"text": {"format": {"type": "text"}}}, {"response_format": {"type": "text"}}, id="text"),
    pytest.param({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}, id="effort"),
    pytest.param({"max_output_tokens": 5}, {"max_completion_tokens": 5}, id="limit"),
    pytest.param({"include": ["message.output_text.logprobs"]}, {"logprobs": True}, id="logprobs"),
    pytest.param(
        {"include": ["message.output_text.logprobs"], "top_logprobs": 3},
        {"logprobs": True, "top_logprobs": 3},
        id="top",
    ),
]


@pytest.mark.parametrize(("responses", "chat"), PAIRS)
def test_a_field_of_responses_becomes_chats(responses, chat):
    assert to_chat_request({"input": "q", **responses}).body == {"messages": [{"role": "user", "content": "q"}], **chat}


@pytest.mark.parametrize(("responses", "chat"), PAIRS)
def test_a_field_of_chat_becomes_responses(responses, chat):
    asked = to_responses_request({"messages": [], **chat})
    assert asked == {"input": [], **responses}


@pytest.mark.parametrize(
    ("responses", "chat"),
    [
        pytest.param(
            {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}, id="about-tools-without-any"
        ),
        pytest.param(
            {"top_logprobs": 0, "truncation": "disabled", "background": False, "stream": False}, {}, id="defaults"
        ),
        pytest.param({"reasoning": {"effort": None, "summary": None}, "text": {"format": None}}, {}, id="nulls-inside"),
        pytest.param(
            {"previous_response_id": None, "stop": None, "instructions": None, "max_output_tokens": None},
            {},
            id="nulls",
        ),
        pytest.param({"top_logprobs": 2}, {"top_logprobs": 2, "logprobs": True}, id="candidates-want-logprobs"),
        pytest.param(
            {"tools": [{"type": "function", "name": "f", "parameters": None, "strict": None}]},
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            id="function-without-parameters",
        ),
    ],
)
def test_what_asks_for_nothing_is_left_out(responses, chat):
    body = to_chat_request({"input": [], **responses}).body
    assert body == {"messages": [], **chat}


def test_the_limit_may_be_sent_under_its_older_name():
    assert to_chat_request({"input": [], "max_output_tokens": 5}, ChatOptions(max_tokens_field="max_tokens")).body == {
        "messages": [],
        "max_tokens": 5,
    }


def test_a_request_is_not_changed_by_its_conversion():
    reasoning = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "t"}]}
    request = {"input": [reasoning, {"role": "assistant", "content": "a"}], **TOOLS[0]}
    before = repr(request)
    to_responses_request(to_chat_request(request, ChatOptions(send_token_data=True)).body)
    assert repr(request) == before
