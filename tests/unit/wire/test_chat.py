"""Completion, create parameters and message types of the Chat Completions API."""

import pytest
from pydantic import TypeAdapter, ValidationError

from nemo_gym import openai_utils as types

MESSAGE = {
    "role": "assistant",
    "content": None,
    "reasoning_content": "hm",
    "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "d", "type": "custom", "custom": {"name": "g", "input": "x"}},
    ],
}
TOKENS = {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.5]}


def completion(message):
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message, "stop_reason": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "kv_transfer_params": None,
    }


@pytest.mark.parametrize(
    ("message", "cls"),
    [
        pytest.param(MESSAGE, types.NeMoGymChatCompletionMessage, id="plain"),
        pytest.param({**MESSAGE, **TOKENS}, types.NeMoGymChatCompletionMessageForTraining, id="with-tokens"),
        pytest.param({"role": "assistant", "content": "x"}, types.NeMoGymChatCompletionMessage, id="text"),
    ],
)
def test_a_completion_goes_through_unchanged(message, cls):
    body = completion(message)
    validated = types.NeMoGymChatCompletion.model_validate(body)
    assert type(validated.choices[0].message) is cls
    assert validated.model_dump(exclude_unset=True) == body
    assert validated.model_dump(mode="json", exclude_unset=True) == body


def test_a_message_with_tokens_given_as_instance_keeps_them():
    message = types.NeMoGymChatCompletionMessageForTraining(**MESSAGE, **TOKENS)
    choice = types.NeMoGymChoice(index=0, finish_reason="stop", message=message)
    assert choice.message is message
    assert choice.model_dump(exclude_unset=True)["message"]["generation_token_ids"] is message.generation_token_ids


def test_tool_calls_are_read_by_attribute():
    function_call, custom_call = (
        types.NeMoGymChatCompletion.model_validate(completion(MESSAGE)).choices[0].message.tool_calls
    )
    assert (function_call.function.name, custom_call.custom["name"]) == ("f", "g")


def test_a_choice_without_message_is_refused():
    body = completion(MESSAGE)
    del body["choices"][0]["message"]
    with pytest.raises(ValidationError, match=r"choices\.0\.message"):
        types.NeMoGymChatCompletion.model_validate(body)


def test_messages_and_tools_are_handed_on_as_they_are_and_unknown_keys_are_dropped():
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}], "x": 1}
    tool = {"type": "function", "function": {"parameters": {}, "name": "f"}}
    body = {"messages": [image, {"role": "critic", "content": []}], "tools": [tool]}
    given = {**body, "stream": False, "unknown": {"a": 1}}
    validated = types.NeMoGymChatCompletionCreateParamsNonStreaming.model_validate(given)
    assert validated.model_dump(exclude_unset=True) == body


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param({"stream": True}, "streaming is not supported", id="stream"),
        pytest.param({"messages": [{"content": "x"}]}, "object with a `role`", id="role"),
        pytest.param({"messages": ["x"]}, "valid dictionary", id="no-object"),
        pytest.param({"temperature": -1}, "greater than or equal to 0", id="temperature"),
    ],
)
def test_wrong_parameters_are_refused_in_words(wrong, words):
    with pytest.raises(ValidationError, match=words):
        types.NeMoGymChatCompletionCreateParamsNonStreaming.model_validate({"messages": [], **wrong})


def test_a_message_dictionary_used_as_a_field_type_keeps_extra_keys():
    message = {"role": "user", "content": "hi", "x": 1}
    assert TypeAdapter(types.NeMoGymChatCompletionUserMessageParam).validate_python(message) == message
