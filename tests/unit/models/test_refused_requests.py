"""What can't be said in the other API is refused, with the place where it stands."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_gym.models.chat import ChatOptions, RequestConversionError, to_chat_request, to_responses_request

FUNCTION = {"type": "function", "name": "f", "parameters": {}, "strict": True}
USER = {"role": "user", "content": "hi"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
CALL = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}


def result(output, call_id="a"):
    return {"type": "function_call_output", "call_id": call_id, "output": output}


@pytest.mark.parametrize(
    ("item", "path"),
    [
        pytest.param("hi", "input[1]", id="no-object"),
        pytest.param({"id": "msg_1"}, "input[1]", id="item-reference"),
        pytest.param({"type": "web_search_call", "id": "ws", "status": "completed"}, "input[1]", id="built-in-call"),
        pytest.param({"type": ["message"]}, "input[1]", id="type-is-a-list"),
        pytest.param({"role": "critic", "content": "x"}, "input[1].role", id="role"),
        pytest.param({"role": "user"}, "input[1].content", id="no-content"),
        pytest.param({"role": "user", "content": ["x"]}, "input[1].content[0]", id="part-is-text"),
        pytest.param(
            {"role": "user", "content": [{"type": "input_text"}]}, "input[1].content[0].text", id="part-without-text"
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "input_image", "file_id": "f"}]},
            "input[1].content[0].file_id",
            id="image-by-id",
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "input_file", "file_url": "u"}]},
            "input[1].content[0].file_url",
            id="file-by-url",
        ),
        pytest.param(
            {"role": "system", "content": [{"type": "input_image", "image_url": "u"}]},
            "input[1].content[0]",
            id="system-image",
        ),
        pytest.param(result([{"type": "input_image", "image_url": "u"}]), "input[1].output[0]", id="image-as-a-result"),
        pytest.param(result("x", call_id=None), "input[1].call_id", id="result-without-call"),
        pytest.param({**CALL, "arguments": {}}, "input[1].arguments", id="arguments-are-an-object"),
        pytest.param({**REASONING, "summary": ["x"]}, "input[1].summary", id="summary-of-texts"),
        pytest.param(
            {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "e"},
            "input[1].encrypted_content",
            id="encrypted",
        ),
        pytest.param(
            {"role": "assistant", "content": "x", "tool_calls": [CALL]},
            "input[1].tool_calls",
            id="chat-field-in-an-item",
        ),
    ],
)
def test_an_item_that_chat_cannot_say_is_refused_with_its_path(item, path):
    with pytest.raises(RequestConversionError, match="input") as caught:
        to_chat_request({"input": [USER, item]})
    assert caught.value.path == path
    assert caught.value.failure.status == 400
    assert caught.value.failure.kind == "model_bad_request"
    assert caught.value.failure.terminal


@pytest.mark.parametrize(
    ("field", "path"),
    [
        pytest.param({"input": None}, "input", id="no-input"),
        pytest.param({"instructions": ["x"]}, "instructions", id="instructions"),
        pytest.param({"tools": [{"type": "web_search"}]}, "tools[0]", id="built-in-tool"),
        pytest.param({"tools": [{**FUNCTION, "defer_loading": True}]}, "tools[0].defer_loading", id="deferred-tool"),
        pytest.param({"tool_choice": {"type": "mcp", "server_label": "x"}}, "tool_choice", id="choice-of-a-server"),
        pytest.param(
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}},
            "tool_choice.tools[0]",
            id="allowed-built-in",
        ),
        pytest.param({"previous_response_id": "resp_1"}, "previous_response_id", id="previous_response_id"),
        pytest.param({"background": True}, "background", id="background"),
        pytest.param({"conversation": "c"}, "conversation", id="conversation"),
        pytest.param({"prompt": {"id": "p"}}, "prompt", id="prompt"),
        pytest.param({"truncation": "auto"}, "truncation", id="truncation"),
        pytest.param({"stream": True}, "stream", id="stream"),
        pytest.param({"n": 2}, "n", id="several-answers"),
        pytest.param({"max_tool_calls": 3}, "max_tool_calls", id="max_tool_calls"),
        pytest.param({"reasoning": {"summary": "auto"}}, "reasoning.summary", id="summary"),
        pytest.param({"text": {"format": {"type": "grammar"}}}, "text.format.type", id="format"),
        pytest.param({"text": {"stop": "x"}}, "text.stop", id="unknown-text-setting"),
        pytest.param({"include": ["reasoning.encrypted_content"]}, "include[0]", id="include"),
        pytest.param({"messages": []}, "messages", id="chat's-conversation"),
        pytest.param(
            {"max_output_tokens": 1, "max_completion_tokens": 2}, "max_completion_tokens", id="two-different-limits"
        ),
    ],
)
def test_a_request_that_chat_cannot_express_is_refused_by_name(field, path):
    with pytest.raises(RequestConversionError) as caught:
        to_chat_request({"input": "q", **field})
    assert caught.value.path == path
    assert str(caught.value).startswith(f"model_bad_request: {path}: ")


@pytest.mark.parametrize(
    ("field", "path"),
    [
        pytest.param({"messages": "q"}, "messages", id="messages-are-text"),
        pytest.param({"n": 2}, "n", id="several-answers"),
        pytest.param({"functions": [{"name": "f"}]}, "functions", id="functions"),
        pytest.param({"modalities": ["text", "audio"]}, "modalities", id="audio"),
        pytest.param({"web_search_options": {}}, "web_search_options", id="web-search"),
        pytest.param({"max_tokens": 1, "max_completion_tokens": 2}, "max_completion_tokens", id="two-different-limits"),
        pytest.param({"tools": [{"type": "function", "name": "f"}]}, "tools[0].function", id="flat-tool"),
        pytest.param({"tool_choice": {"type": "function"}}, "tool_choice.function", id="choice-without-name"),
        pytest.param({"response_format": {"type": "json_schema"}}, "response_format", id="no-schema"),
        pytest.param({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role", id="function-role"),
        pytest.param(
            {"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio", id="audio-answer"
        ),
        pytest.param(
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}]}]},
            "messages[0].tool_calls[0].arguments",
            id="call-without-arguments",
        ),
    ],
)
def test_a_request_that_responses_cannot_express_is_refused_by_name(field, path):
    with pytest.raises(RequestConversionError) as caught:
        to_responses_request({"messages": [], **field})
    assert caught.value.path == path


KEYS = ["type", "role", "content", "text", "name", "function", "tools"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["message", "function", "user"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "name", "function", "tools"]), inner, max_size=3
        )
    ),
    max_leaves=4,
)
ITEM_TYPES = ["message", "reasoning", "function_call", "function_call_output", "custom_tool_call"]
ITEM_KEYS = ["role", "content", "summary", "call_id", "name", "arguments", "output", "prompt_token_ids"]
ITEMS = st.lists(
    st.builds(
        lambda kind, fields: {"type": kind, **fields},
        st.sampled_from(ITEM_TYPES) | JSON,
        st.dictionaries(st.sampled_from(ITEM_KEYS), JSON, max_size=4),
    ),
    max_size=2,
)
MESSAGES = st.lists(
    st.builds(
        lambda role, fields: {"role": role, **fields},
        st.sampled_from(["user", "assistant", "tool"]) | JSON,
        st.dictionaries(st.sampled_from(["content", "tool_calls", "tool_call_id", "refusal", "reasoning"]), JSON),
    ),
    max_size=2,
)
FIELDS = ["tools", "tool_choice", "text", "reasoning", "include", "instructions", "response_format", "modalities", "n"]
REQUESTS = st.builds(
    lambda fields, items, messages: (fields | {"input": items}, fields | {"messages": messages}),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=2),
    ITEMS | JSON,
    MESSAGES | JSON,
)


@settings(max_examples=100)
@given(REQUESTS, st.sampled_from(["drop", "reasoning", "think_tags"]))
def test_any_request_at_all_is_converted_or_refused(requests, form):
    for convert, request in zip((to_chat_request, to_responses_request), requests, strict=True):
        # Any other error ends the test.
        with contextlib.suppress(RequestConversionError):
            convert(request, ChatOptions(reasoning=form, send_token_data=True))
