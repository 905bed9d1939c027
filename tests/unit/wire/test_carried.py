"""Carried objects: checked at the edge, passed on as they came, opened only where somebody looks."""

from typing import Any

import orjson
import pytest
from msgspec import DecodeError
from pydantic import TypeAdapter, ValidationError

from nemo_gym.openai_utils import CarriedItem, CarriedParams, CarriedResponse, NeMoGymResponse
from nemo_gym.wire.environment import CarriedRunRequest

TOKENS = {"prompt_token_ids": [1], "generation_token_ids": [7] * 500, "generation_log_probs": [-0.25] * 500}
MESSAGE = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}", "odd": {"deep": [None]}}
RESPONSE = {"id": "r", "created_at": 1, "model": "m", "output": [CALL, MESSAGE | TOKENS], "engine": {"a": 1e-9}}


def response(**changes: Any) -> CarriedResponse:
    return CarriedResponse.read(orjson.dumps({**RESPONSE, **changes}))


def test_a_response_goes_on_as_the_text_it_came_as() -> None:
    text = orjson.dumps(RESPONSE, option=orjson.OPT_INDENT_2)
    assert CarriedResponse.read(text).text == text


def test_its_attributes_are_those_of_the_model() -> None:
    carried = response()
    assert isinstance(carried.typed, NeMoGymResponse)
    assert (carried.output_text, carried.output[1].generation_token_ids[:2]) == ("hi", [7, 7])
    with pytest.raises(AttributeError):
        _ = carried.no_such_field


def test_its_items_have_a_head_and_are_otherwise_carried() -> None:
    call, message = response().items()
    assert (call.head.type, call.head.name, call.head.call_id, call.head.arguments) == (
        "function_call",
        "look",
        "c",
        "{}",
    )
    assert orjson.loads(call.text) == CALL
    assert orjson.loads(message.text) == MESSAGE | TOKENS


def test_items_of_several_responses_make_one_output_with_all_their_tokens() -> None:
    first, second = response(), response(output=[MESSAGE | TOKENS | {"generation_token_ids": [9] * 500}])
    joined = second.replaced(output=[*first.items(), CarriedItem.function_call_output("c", 'a "b"'), *second.items()])
    output = orjson.loads(joined.text)["output"]
    assert output[1] == MESSAGE | TOKENS
    assert output[2] == {"type": "function_call_output", "call_id": "c", "output": 'a "b"'}
    assert output[3]["generation_token_ids"] == [9] * 500
    assert orjson.loads(joined.text)["engine"] == {"a": 1e-9}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"output": None}, id="no-list"),
        pytest.param({"output": [{"type": "function_call", "name": "look"}]}, id="half-a-call"),
        pytest.param({"output": [3]}, id="no-item"),
        pytest.param({"id": 3}, id="no-id"),
    ],
)
def test_an_object_that_is_not_a_response_is_refused_by_both_checks(broken: dict[str, Any]) -> None:
    text = orjson.dumps({**RESPONSE, **broken})
    with pytest.raises(ValidationError):
        CarriedResponse.read(text)
    with pytest.raises(DecodeError):
        CarriedResponse.unchecked(text).items()


@pytest.mark.parametrize(
    ("params", "where"),
    [
        pytest.param({}, "input", id="no-input"),
        pytest.param({"input": 3}, "input", id="input-is-a-number"),
        pytest.param({"input": "x", "temperature": 9}, "temperature", id="out-of-range"),
        pytest.param({"input": "x", "tools": [{"type": "function"}]}, "tools", id="half-a-tool"),
        pytest.param({"input": "x", "stream": True}, "", id="streaming"),
    ],
)
def test_bad_parameters_are_refused_with_their_place_each_time(params: dict[str, Any], where: str) -> None:
    for _ in range(2):
        with pytest.raises(ValidationError) as refused:
            CarriedParams.read(orjson.dumps(params))
        assert ".".join(map(str, refused.value.errors()[0]["loc"])).startswith(where)


def test_parameters_lose_nothing_but_streaming() -> None:
    given = {"input": [MESSAGE | TOKENS], "engine_option": {"a": None}, "stream": False, "stream_options": None}
    kept = orjson.loads(CarriedParams.read(orjson.dumps(given)).text)
    assert kept == {"input": [MESSAGE | TOKENS], "engine_option": {"a": None}}


def test_text_as_input_is_the_message_of_its_user() -> None:
    (item,) = CarriedParams.read(orjson.dumps({"input": 'say "hi"'})).input_items()
    assert orjson.loads(item.text) == {"role": "user", "content": 'say "hi"'}


def test_the_items_of_the_input_are_carried() -> None:
    items = CarriedParams.read(orjson.dumps({"input": [CALL, MESSAGE | TOKENS]})).input_items()
    assert [orjson.loads(item.text) for item in items] == [CALL, MESSAGE | TOKENS]


def test_a_model_is_taken_for_the_text_it_would_be() -> None:
    typed = NeMoGymResponse.model_validate(RESPONSE)
    assert orjson.loads(CarriedResponse.of(typed).text) == RESPONSE
    carried = response()
    assert CarriedResponse.of(carried) is carried


def test_a_task_row_is_checked_whole() -> None:
    with pytest.raises(ValidationError) as refused:
        CarriedRunRequest.read(orjson.dumps({"responses_create_params": {"input": [{"role": "cook", "content": ""}]}}))
    assert "responses_create_params" in refused.value.errors()[0]["loc"]


def test_the_documentation_shows_the_model() -> None:
    schema = TypeAdapter(CarriedParams).json_schema()
    assert {"input", "tools", "temperature"} <= set(schema["properties"])
