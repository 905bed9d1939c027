"""The scripted model as a model server of a run, and the shipped configuration."""

import json
from operator import itemgetter
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from omegaconf import OmegaConf

from nemo_gym.openai_utils import (
    NeMoGymResponseCreateParamsNonStreaming,
)
from nemo_gym.server_utils import ServerClient
from responses_api_models.scripted_model.app import ScriptedChatParams, ScriptedModel, ScriptedModelConfig

CONFIG = Path(__file__).parents[1] / "configs" / "scripted_model.yaml"
EXAMPLE = Path(__file__).parents[3] / "resources_servers" / "example_simple_weather" / "data" / "example.jsonl"
CITY = "expected_city"
TOOLS = [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": True}]


def server(**settings) -> ScriptedModel:
    config = ScriptedModelConfig(host="", port=0, entrypoint="", name="policy_model", **settings)
    return ScriptedModel(config=config, server_client=MagicMock(spec=ServerClient))


def shipped() -> ScriptedModel:
    block = OmegaConf.load(CONFIG).policy_model.responses_api_models.scripted_model
    settings = OmegaConf.to_container(block, resolve=True)
    settings.pop("entrypoint")
    return server(**settings)


@pytest.mark.parametrize(
    ("text", "city"),
    [
        ("What is the weather in Seattle?", "Seattle"),
        ("what's the weather like in New York today?", "New York"),
        ("Tell me the Weather of São Paulo", "São Paulo"),
        ("weather for St. Gallen, please", "St. Gallen"),
        ("Tell me the weather in Tokyo.", "Tokyo"),
        ("I am flying to Lima. What is the weather there?", "Lima"),
    ],
)
def test_shipped_configuration_calls_the_weather_tool_for_the_city(text, city):
    client = TestClient(shipped().setup_webserver())
    output = client.post("/v1/responses", json={"input": text, "tools": TOOLS}).json()["output"]
    assert output[0]["name"] == "get_weather"
    assert json.loads(output[0]["arguments"]) == {"city": city}


@pytest.mark.parametrize("row", [json.loads(line) for line in EXAMPLE.read_text().splitlines()], ids=itemgetter(CITY))
def test_shipped_configuration_asks_for_the_right_city_in_each_task_of_the_weather_example(row):
    client = TestClient(shipped().setup_webserver())
    output = client.post("/v1/responses", json=row["responses_create_params"]).json()["output"]
    assert json.loads(output[0]["arguments"]) == {"city": row[CITY]}


def test_shipped_configuration_ends_with_a_message_after_the_tool_result():
    client = TestClient(shipped().setup_webserver())
    first = {"input": [{"role": "user", "content": "What is the weather in Oslo?"}], "tools": TOOLS}
    call = client.post("/v1/responses", json=first).json()["output"][0]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "cold"}
    second = {**first, "input": [*first["input"], call, result]}
    assert client.post("/v1/responses", json=second).json()["output"][0]["type"] == "message"


def test_app_serves_both_apis_the_control_surface_and_health():
    client = TestClient(server(faults=[{"kind": "status", "status": 429, "on_requests": [2]}]).setup_webserver())
    assert client.post("/v1/responses", json={"input": "x"}).status_code == 200
    refused = client.post("/v1/chat/completions", json={"messages": []})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert client.get("/script/stats").json()["requests"] == 2
    assert client.put("/script/faults", json=[]).json() == {"faults": []}
    assert client.get("/health").status_code == 200
    assert client.post("/tokenize", json={"prompt": "hi"}).json()["count"] == 2
    assert client.get("/v1/models").json()["data"][0]["id"] == "scripted-model"


async def test_responses_called_in_python_plays_the_script():
    body = NeMoGymResponseCreateParamsNonStreaming(input="x", metadata={"script": '[{"message": "mine"}]'})
    response = await server().responses(body)
    assert response.output[0].content[0].text == "mine"


async def test_chat_completions_called_in_python_plays_the_rules():
    body = ScriptedChatParams(messages=[{"role": "user", "content": "x"}])
    completion = await server(default_answer={"call": {"name": "w"}}).chat_completions(body)
    assert completion.choices[0].message.tool_calls[0].function.name == "w"


async def test_chat_completions_called_in_python_carries_token_data():
    messages = [{"role": "user", "content": "x"}]
    body = ScriptedChatParams(messages=messages, return_token_ids=True)
    completion = await server().chat_completions(body)
    assert completion.choices[0].token_ids == [*b"Done.", 261]


async def test_responses_called_in_python_is_a_404_in_chat_only_mode():
    with pytest.raises(HTTPException) as refused:
        await server(apis=["chat"]).responses(NeMoGymResponseCreateParamsNonStreaming(input="x"))
    assert refused.value.status_code == 404
