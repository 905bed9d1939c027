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
    pytest.param({"refusal": "I won't."}, id="refusal"),
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


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        ({"message": "cut", "incomplete": "content_filter"}, "incomplete", "content_filter"),
        ({"message": "cut", "incomplete": "max_output_tokens"}, "incomplete", "length"),
        ({"status": "failed"}, "failed", "error"),
        ({"status": "cancelled", "message": "so far"}, "cancelled", "abort"),
        ({"status": "queued"}, "queued", None),
        ({"status": "in_progress", "message": "so"}, "in_progress", None),
    ],
    ids=lambda value: str(value.get("status", value.get("incomplete"))) if isinstance(value, dict) else None,
)
async def test_answer_that_did_not_complete_says_so_in_both_apis(client_for, answer, status, reason):
    response = await play(client_for, answer, "/v1/responses", input="x")
    Response.model_validate(response)
    assert (response["status"], len(response["output"])) == (status, int("message" in answer))
    choice = (await play(client_for, answer, "/v1/chat/completions", messages=[]))["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == (reason, answer.get("message"))


async def test_failed_response_has_the_written_error_or_a_server_error(client_for):
    written = {"code": "rate_limit_exceeded", "message": "Later."}
    response = await play(client_for, {"status": "failed", "error": written}, "/v1/responses", input="x")
    assert response["error"] == written
    response = await play(client_for, {"status": "failed"}, "/v1/responses", input="x")
    assert response["error"]["code"] == "server_error"


async def test_refusal_is_told_in_its_own_place_in_both_apis(client_for):
    response = await play(client_for, {"refusal": "No."}, "/v1/responses", input="x")
    assert response["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]
    completion = await play(client_for, {"refusal": "No."}, "/v1/chat/completions", messages=[])
    message = completion["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "No.")


async def test_reasoning_is_told_in_chat_however_the_item_was_written(client_for):
    raw = [{"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}]
    for answer in ({"reasoning": "hm", "message": "so"}, {"output": raw}):
        completion = await play(client_for, answer, "/v1/chat/completions", messages=[])
        assert completion["choices"][0]["message"]["reasoning_content"] == "hm"
