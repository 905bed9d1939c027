"""A chat completion becomes a Response that the official client reads."""

import pytest
from openai.types.responses import Response

from nemo_gym.models.chat import ChatOptions, to_chat_request, to_response
from nemo_gym.openai_utils import NeMoGymResponse

USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 4,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": None},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
CALLS = [
    {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
    {"id": "call_b", "type": "function", "function": {"name": "g", "arguments": "no JSON"}},
]
REQUEST = {
    "model": "asked",
    "input": "q",
    "instructions": "be brief",
    "tools": [{"type": "function", "name": "f"}],
    "tool_choice": {"type": "function", "name": "f"},
    "parallel_tool_calls": False,
    "temperature": 0.5,
    "max_output_tokens": 9,
    "text": {"format": {"type": "text"}},
    "reasoning": {"effort": "low"},
    "metadata": {"a": "b"},
}
LOGPROBS = [
    {"token": "h", "bytes": [104], "logprob": -0.5, "top_logprobs": [{"token": "h", "logprob": -0.5, "bytes": None}]},
    {"token": "é", "logprob": -1},
]


def completion(message, finish_reason="stop", logprobs=None, **fields):
    choice = {
        "index": 0,
        "finish_reason": finish_reason,
        "message": {"role": "assistant", **message},
        "logprobs": logprobs,
    }
    return {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 17,
        "model": "m",
        "choices": [choice],
        "usage": USAGE,
        **fields,
    }


def response_of(message, *args, options=None, **kwargs):
    """Return the Response, once both our types and the official client have taken it without a change."""
    response = to_response(completion(message, *args, **kwargs), REQUEST, options or ChatOptions())
    parsed = Response.model_validate(response, strict=True)
    assert parsed.model_dump(exclude_unset=True, by_alias=True) == response
    assert NeMoGymResponse.model_validate(response).model_dump(exclude_unset=True) == response
    return response


def kinds(response):
    return [item["type"] for item in response["output"]]


def message_item(text, **fields):
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"id": "msg_7", "type": "message", "role": "assistant", "status": "completed", "content": [part], **fields}


def reasoning_item(*thoughts, **fields):
    summary = [{"type": "summary_text", "text": thought} for thought in thoughts]
    return {"id": "rs_7", "type": "reasoning", "summary": summary, **fields}


def call_item(index, call_id, name, arguments):
    item = {"id": f"fc_7_{index}", "type": "function_call", "status": "completed"}
    return {**item, "call_id": call_id, "name": name, "arguments": arguments}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param({"content": "yes"}, [message_item("yes")], id="text"),
        pytest.param({"content": None}, [message_item("")], id="nothing-at-all"),
        pytest.param({}, [message_item("")], id="no-content-key"),
        pytest.param(
            {"content": None, "refusal": "no"},
            [message_item("", content=[{"type": "refusal", "refusal": "no"}])],
            id="refusal",
        ),
        pytest.param(
            {"content": "yes", "reasoning_content": "hm"}, [reasoning_item("hm"), message_item("yes")], id="vllm"
        ),
        pytest.param(
            {"content": "yes", "reasoning": "hm"}, [reasoning_item("hm"), message_item("yes")], id="reasoning"
        ),
        pytest.param(
            {"content": "yes", "reasoning": "hm", "reasoning_content": "hm"},
            [reasoning_item("hm"), message_item("yes")],
            id="reasoning-under-both-names",
        ),
        pytest.param({"content": "", "reasoning_content": "hm"}, [reasoning_item("hm")], id="reasoning-only"),
        pytest.param({"content": "<think>hm</think>\nyes"}, [reasoning_item("hm"), message_item("\nyes")], id="block"),
        pytest.param({"content": "<think>hm</think>\n\n"}, [reasoning_item("hm")], id="block-and-nothing-after-it"),
        pytest.param({"content": "hm</think>yes"}, [reasoning_item("hm"), message_item("yes")], id="end-tag-only"),
        pytest.param(
            {"content": "a </think> b", "reasoning": "hm"},
            [reasoning_item("hm"), message_item("a </think> b")],
            id="a-tag-that-the-engine's-parser-left-is-text",
        ),
        pytest.param(
            {"content": "", "tool_calls": CALLS},
            [call_item(0, "call_a", "f", '{"x": 1}'), call_item(1, "call_b", "g", "no JSON")],
            id="calls",
        ),
        pytest.param(
            {"content": "let me", "reasoning": "hm", "tool_calls": CALLS[:1]},
            [reasoning_item("hm"), message_item("let me"), call_item(0, "call_a", "f", '{"x": 1}')],
            id="everything",
        ),
        pytest.param(
            {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
            [call_item(0, "call_7_0", "f", "{}")],
            id="function-call-of-the-older-api",
        ),
        pytest.param(
            {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "g", "input": "x"}}]},
            [{"id": "ctc_7_0", "type": "custom_tool_call", "call_id": "c", "name": "g", "input": "x"}],
            id="custom-call",
        ),
    ],
)
def test_a_message_becomes_items_in_their_order(message, expected):
    assert response_of(message)["output"] == expected


def test_a_think_block_stays_in_the_text_where_the_options_say_so():
    kept = response_of({"content": "<think>hm</think>yes"}, options=ChatOptions(think_in_text="keep"))
    assert kept["output"] == [message_item("<think>hm</think>yes")]


def test_an_answer_cut_off_inside_the_block_that_the_template_began_is_reasoning():
    response = response_of({"content": "hm"}, "length", options=ChatOptions(template_opens_think=True))
    assert response["output"] == [reasoning_item("hm", status="incomplete")]


@pytest.mark.parametrize(
    ("finish_reason", "status", "details"),
    [
        pytest.param("stop", "completed", None, id="stop"),
        pytest.param("tool_calls", "completed", None, id="calls"),
        pytest.param("eos_token", "completed", None, id="an-engine's-own"),
        pytest.param(None, "completed", None, id="none"),
        pytest.param("length", "incomplete", {"reason": "max_output_tokens"}, id="length"),
        pytest.param("content_filter", "incomplete", {"reason": "content_filter"}, id="filter"),
    ],
)
def test_the_finish_reason_becomes_the_status_of_response_and_last_item(finish_reason, status, details):
    response = response_of({"content": "yes", "reasoning": "hm"}, finish_reason)
    assert (response["status"], response["incomplete_details"]) == (status, details)
    assert response["output"] == [reasoning_item("hm"), message_item("yes", status=status)]


def test_the_response_repeats_its_request_and_says_what_the_completion_says():
    response = response_of({"content": "yes"}, service_tier="flex", system_fingerprint="fp", kv_transfer_params=None)
    assert response["id"] == "resp_7"
    assert (response["created_at"], response["model"], response["service_tier"]) == (17, "m", "flex")
    assert response["tools"] == [{"type": "function", "name": "f", "parameters": None, "strict": None}]
    assert {key: response[key] for key in REQUEST.keys() - {"model", "input", "tools"}}.items() <= REQUEST.items()
    assert response["system_fingerprint"] == "fp"
    assert "kv_transfer_params" not in response


def test_token_counts_keep_their_details():
    assert response_of({"content": "yes"})["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 14,
    }


def test_logprobs_have_every_field_that_a_response_needs():
    tokens = response_of({"content": "hé"}, logprobs={"content": LOGPROBS})["output"][0]["content"][0]["logprobs"]
    candidate = {"token": "h", "bytes": [104], "logprob": -0.5}
    assert tokens == [
        {**candidate, "top_logprobs": [candidate]},
        {"token": "é", "bytes": [195, 169], "logprob": -1.0, "top_logprobs": []},
    ]


def test_logprobs_of_a_think_block_are_not_those_of_the_text():
    tokens = [{"token": token, "logprob": -1.0} for token in ("<think>", "h", "m", "</think>", "y", "es", "<|end|>")]
    message = response_of({"content": "<think>hm</think>yes"}, logprobs={"content": tokens})["output"][1]
    assert [token["token"] for token in message["content"][0]["logprobs"]] == ["y", "es", "<|end|>"]


def test_citations_become_annotations():
    citation = {"url": "u", "title": "t", "start_index": 0, "end_index": 3}
    message = {"content": "yes", "annotations": [{"type": "url_citation", "url_citation": citation}]}
    assert response_of(message)["output"][0]["content"][0]["annotations"] == [{"type": "url_citation", **citation}]


def test_fields_that_no_api_publishes_reach_the_endpoint_again_with_the_next_request():
    signed = {**CALLS[0], "extra_content": {"signature": "s"}}
    message = {"content": "yes", "reasoning_details": [{"data": "d"}], "tool_calls": [signed], "audio": None}
    output = response_of(message)["output"]
    again = to_chat_request({"input": output}).body["messages"]
    assert again == [
        {"role": "assistant", "content": "yes", "reasoning_details": [{"data": "d"}], "tool_calls": [signed]}
    ]


def test_the_same_completion_gives_the_same_response_and_another_one_without_an_id_other_ids():
    def ids(text):
        response = to_response(completion({"content": text}, id=None))
        return response["id"], response["output"][0]["id"]

    assert ids("a") == ids("a")
    assert ids("a") != ids("b")
    assert ids("a")[0].startswith("resp_")
