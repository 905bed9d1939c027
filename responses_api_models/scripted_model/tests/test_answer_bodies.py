"""Answers are what the published APIs promise: they validate, and they tell what was written."""

import pytest
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from nemo_gym.openai_utils import NeMoGymChatCompletion, NeMoGymResponse

TOOLS = [{"type": "function", "name": "w", "parameters": {"type": "object", "properties": {}}}]
ANSWERS = [
    pytest.param({"message": "hello"}, id="message"),
    pytest.param({"message": ""}, id="empty-message"),
    pytest.param({"call": {"name": "w", "arguments": {"a": 1}}}, id="call"),
    pytest.param(
        {"reasoning": "hm", "message": "so", "calls": [{"name": "w"}, {"name": "v", "arguments": "{"}]}, id="everything"
    ),
    pytest.param({"message": "cut", "incomplete": "max_output_tokens"}, id="incomplete"),
    pytest.param({"output": []}, id="no-output"),
    pytest.param({"message": "x", "usage": {"input_tokens": 7, "output_tokens": 2, "cached_tokens": 5}}, id="usage"),
]


async def play(client_for, answer, path, **body):
    async with client_for(default_answer=answer) as client:
        return (await client.post(path, json=body)).json()


@pytest.mark.parametrize("answer", ANSWERS)
async def test_response_validates_as_the_published_and_as_our_type(client_for, answer):
    body = await play(client_for, answer, "/v1/responses", input="x", tools=TOOLS, temperature=0.5, model="m")
    Response.model_validate(body)
    ours = NeMoGymResponse.model_validate(body)
    assert (ours.model, ours.temperature, ours.tools[0].name) == ("m", 0.5, "w")


@pytest.mark.parametrize("answer", ANSWERS)
async def test_chat_completion_validates_as_the_published_and_as_our_type(client_for, answer):
    body = await play(client_for, answer, "/v1/chat/completions", messages=[{"role": "user", "content": "x"}])
    ChatCompletion.model_validate(body)
    NeMoGymChatCompletion.model_validate(body)


async def test_response_has_reasoning_message_and_calls_in_order_with_ids_of_their_own(client_for):
    answer = {"reasoning": "hm", "message": "so", "calls": [{"name": "w"}, {"name": "v"}]}
    output = (await play(client_for, answer, "/v1/responses", input="x"))["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call", "function_call"]
    assert len({item["id"] for item in output} | {item["call_id"] for item in output[2:]}) == 6


async def test_raw_output_items_are_sent_unchanged(client_for):
    item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [], "extra": {"k": 1}}
    item |= {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.25]}
    assert (await play(client_for, {"output": [item]}, "/v1/responses", input="x"))["output"] == [item]


async def test_usage_is_what_was_written(client_for):
    answer = {"message": "x", "usage": {"input_tokens": 7, "output_tokens": 2, "reasoning_tokens": 1}}
    usage = (await play(client_for, answer, "/v1/responses", input="x"))["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (7, 2, 9)
    assert usage["output_tokens_details"] == {"reasoning_tokens": 1}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"message": "x"}, "stop"),
        ({"call": {"name": "w"}}, "tool_calls"),
        ({"message": "x", "incomplete": "max_output_tokens"}, "length"),
    ],
    ids=["message", "call", "incomplete"],
)
async def test_chat_finish_reason_says_why_the_answer_ended(client_for, answer, reason):
    body = await play(client_for, answer, "/v1/chat/completions", messages=[])
    assert body["choices"][0]["finish_reason"] == reason
