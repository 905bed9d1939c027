"""Token data stays with the model call that made it."""

import pytest

from nemo_gym.models.chat import (
    CallTokenData,
    ChatOptions,
    MessageTokenData,
    attach_token_data,
    to_chat_request,
    to_response,
    to_responses_request,
)
from nemo_gym.wire.failure import RolloutError

FIRST = {"prompt_token_ids": [1], "generation_token_ids": [2, 3], "generation_log_probs": [-0.5, -1.0]}
SECOND = {"prompt_token_ids": [1, 2, 3, 4], "generation_token_ids": [5]}
USER = {"role": "user", "content": "hi"}
ANSWER = {"type": "message", "role": "assistant", "content": "yes"}
REASONING = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}]}


def call(call_id, **fields):
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}", **fields}


def result(call_id):
    return {"type": "function_call_output", "call_id": call_id, "output": "x"}


def indices(items, **options):
    request = to_chat_request({"input": items}, ChatOptions(**options))
    return [(entry.message_index, entry.data.generation_token_ids) for entry in request.token_data]


def test_token_data_of_earlier_calls_is_beside_the_request_and_not_in_it():
    request = to_chat_request({"input": [USER, call("a", **FIRST), result("a"), {**ANSWER, **SECOND}]})
    assert request.token_data == (
        MessageTokenData(1, CallTokenData([1], [2, 3], [-0.5, -1.0])),
        MessageTokenData(3, CallTokenData([1, 2, 3, 4], [5], None)),
    )
    assert "token_ids" not in str(request.body)


def test_token_data_is_carried_by_reference():
    request = to_chat_request({"input": [{**ANSWER, **FIRST}]}, ChatOptions(send_token_data=True))
    assert request.body["messages"][0]["generation_token_ids"] is FIRST["generation_token_ids"]


def test_token_data_is_sent_on_the_assistants_message_where_the_option_says_so():
    items = [call("a"), call("b", **FIRST), result("a"), result("b"), {**ANSWER, **SECOND}]
    messages = to_chat_request({"input": items}, ChatOptions(send_token_data=True)).body["messages"]
    keys = [sorted(key for key in message if "token" in key or "log" in key) for message in messages]
    assert keys == [sorted(FIRST), [], [], sorted(SECOND)]


@pytest.mark.parametrize(
    ("items", "expected", "count"),
    [
        pytest.param([{**REASONING, **FIRST}, {**ANSWER, **SECOND}], [(0, [2, 3]), (1, [5])], 2, id="two-calls"),
        pytest.param([{**REASONING, **FIRST}, ANSWER], [(0, [2, 3])], 2, id="the-second-without-data"),
        pytest.param([{**REASONING, **FIRST}, {**ANSWER, **FIRST}], [(0, [2, 3])], 1, id="same-data-on-each-item"),
        pytest.param([call("a", **FIRST), call("b")], [(0, [2, 3])], 1, id="data-on-the-first-of-two-function-calls"),
        pytest.param([{**ANSWER, "generation_token_ids": [1]}], [], 1, id="half-of-it"),
    ],
)
def test_each_model_call_has_a_message_of_its_own(items, expected, count):
    assert indices(items) == expected
    assert len(to_chat_request({"input": items}).body["messages"]) == count


def test_token_data_of_dropped_reasoning_belongs_to_no_message():
    assert indices([{**REASONING, **FIRST}, {**ANSWER, **SECOND}], reasoning="drop") == [(None, [2, 3]), (0, [5])]


def test_token_data_of_a_chat_message_is_on_the_last_item_of_it():
    message = {"role": "assistant", "content": "yes", "reasoning": "hm", **FIRST}
    items = to_responses_request({"messages": [message]})["input"]
    assert ["generation_token_ids" in item for item in items] == [False, True]


def test_token_data_of_a_completions_message_is_on_the_last_item():
    message = {"content": "yes", "reasoning": "hm", **FIRST}
    output = to_response({"id": "c", "choices": [{"message": message}]})["output"]
    assert {key: output[-1][key] for key in FIRST} == FIRST
    assert not FIRST.keys() & output[0].keys()


def test_arrays_from_elsewhere_are_attached_to_the_last_item():
    output = to_response({"id": "c", "choices": [{"message": {"content": "yes"}, "token_ids": [2]}]})["output"]
    assert "token_ids" not in str(output)
    attach_token_data(output, CallTokenData([1], [2]))
    assert (output[-1]["prompt_token_ids"], output[-1]["generation_token_ids"]) == ([1], [2])
    assert "generation_log_probs" not in output[-1]


def test_arrays_without_an_item_are_invalid_token_data():
    with pytest.raises(RolloutError, match="token_data_invalid"):
        attach_token_data([], CallTokenData([1], [2]))
