"""A Response becomes a chat completion that the official client reads."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from nemo_gym.models.chat import ChatOptions, ModelOutputError, to_completion, to_response
from nemo_gym.openai_utils import NeMoGymChatCompletion

REASONING = {"type": "reasoning", "id": "rs_7", "summary": [{"type": "summary_text", "text": "hm"}]}
CALL = {"type": "function_call", "id": "fc_7_0", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"}
CHAT_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 14,
}


def text_part(text, **fields):
    return {"type": "output_text", "text": text, "annotations": [], **fields}


def message_item(*parts):
    return {"type": "message", "id": "msg_7", "role": "assistant", "status": "completed", "content": list(parts)}


def response(*items, **fields):
    return {
        "id": "resp_7",
        "object": "response",
        "created_at": 17.0,
        "model": "m",
        "status": "completed",
        "output": list(items),
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "usage": USAGE,
        **fields,
    }


def choice_of(answer, **options):
    """Return the only choice, once both our types and the official client have taken it without a change."""
    completion = to_completion(answer, ChatOptions(**options))
    parsed = ChatCompletion.model_validate(completion, strict=True)
    assert parsed.model_dump(exclude_unset=True) == completion
    assert NeMoGymChatCompletion.model_validate(completion).model_dump(exclude_unset=True) == completion
    return completion["choices"][0]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        pytest.param([message_item(text_part("a"), text_part("b"))], {"content": "ab"}, id="text"),
        pytest.param([], {"content": None}, id="nothing"),
        pytest.param(
            [message_item({"type": "refusal", "refusal": "no"})], {"content": None, "refusal": "no"}, id="refusal"
        ),
        pytest.param(
            [REASONING, CALL], {"content": None, "reasoning_content": "hm", "tool_calls": [CHAT_CALL]}, id="call"
        ),
        pytest.param(
            [{"type": "custom_tool_call", "call_id": "c", "name": "g", "input": "x"}],
            {"content": None, "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "g", "input": "x"}}]},
            id="custom-call",
        ),
    ],
)
def test_items_become_the_message_of_the_only_choice(items, message):
    assert choice_of(response(*items))["message"] == {"role": "assistant", "refusal": None, **message}


@pytest.mark.parametrize(
    ("form", "message"),
    [
        pytest.param("drop", {"content": "a"}, id="drop"),
        pytest.param("reasoning", {"content": "a", "reasoning": "hm"}, id="field"),
        pytest.param("think_tags", {"content": "<think>hm</think>a"}, id="tags"),
    ],
)
def test_reasoning_is_written_where_the_option_says(form, message):
    choice = choice_of(response(REASONING, message_item(text_part("a"))), reasoning=form)
    assert choice["message"] == {"role": "assistant", "refusal": None, **message}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(response(message_item(text_part("a"))), "stop", id="stop"),
        pytest.param(response(CALL), "tool_calls", id="calls"),
        pytest.param(
            response(CALL, status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            "length",
            id="length",
        ),
        pytest.param(
            response(status="incomplete", incomplete_details={"reason": "content_filter"}),
            "content_filter",
            id="filter",
        ),
    ],
)
def test_the_status_becomes_the_finish_reason(answer, reason):
    assert choice_of(answer)["finish_reason"] == reason


def test_citations_point_into_the_joined_text_and_logprobs_are_joined():
    citation = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    token = {"token": "b", "bytes": [98], "logprob": -1.0, "top_logprobs": []}
    choice = choice_of(
        response(message_item(text_part("aa"), text_part("b", annotations=[citation], logprobs=[token])))
    )
    moved = {"url": "u", "title": "t", "start_index": 2, "end_index": 3}
    assert choice["message"]["annotations"] == [{"type": "url_citation", "url_citation": moved}]
    assert choice["logprobs"] == {"content": [token], "refusal": None}


def test_a_completion_that_was_a_response_comes_back():
    tokens = {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.5]}
    message = {
        "role": "assistant",
        "content": "yes",
        "refusal": None,
        "reasoning_content": "hm",
        "tool_calls": [CHAT_CALL],
    }
    completion = {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 17,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": None, "message": {**message, **tokens}}],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 4,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        "kv_transfer_params": {"a": 1},
    }
    assert to_completion(to_response(completion)) == completion


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        pytest.param(None, "output", id="nothing"),
        pytest.param({"output": "yes"}, "output", id="text"),
        pytest.param(response(status="failed", error={"code": "x", "message": "broken"}), "status", id="failed"),
        pytest.param(response(status="in_progress"), "status", id="not-finished"),
        pytest.param(response("yes"), "output[0]", id="item-is-text"),
        pytest.param(response({"type": "web_search_call"}), "output[0]", id="built-in-call"),
        pytest.param(
            response(CALL, {"type": "function_call_output", "call_id": "c", "output": "x"}),
            "output[1]",
            id="tool-result",
        ),
        pytest.param(response({**CALL, "arguments": {}}), "output[0]", id="arguments-are-an-object"),
        pytest.param(response(message_item({"type": "output_audio"})), "output[0].content[0]", id="audio"),
        pytest.param(
            response(message_item(text_part("a", annotations=[{"type": "file_path"}]))),
            "output[0].content[0].annotations",
            id="file-annotation",
        ),
    ],
)
def test_an_answer_that_chat_cannot_say_is_bad_output_with_its_path(answer, path):
    with pytest.raises(ModelOutputError) as caught:
        to_completion(answer)
    assert caught.value.path == path


def test_a_failed_answer_says_why():
    with pytest.raises(ModelOutputError, match="'failed', with the error 'broken'"):
        to_completion(response(status="failed", error={"code": "x", "message": "broken"}))


KEYS = ["type", "content", "summary", "text", "name", "arguments", "call_id", "annotations", "logprobs", "refusal"]
TYPES = st.sampled_from(["message", "reasoning", "function_call", "output_text", "refusal", "url_citation"])
JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=3) | TYPES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=150)
@given(
    st.fixed_dictionaries(
        {"output": st.lists(JSON, max_size=2), "id": JSON, "created_at": JSON, "usage": JSON, "model": JSON}
    )
)
def test_any_answer_at_all_is_a_sound_completion_or_one_typed_error(answer):
    try:
        completion = to_completion(answer)
    except ModelOutputError:
        return
    json.dumps(completion)
    assert isinstance(completion["choices"][0]["message"]["content"], str | None)
