"""RawJson objects: checked at the edge, passed on as they came, opened only where somebody looks."""

from typing import Any

import orjson
import pytest
from msgspec import DecodeError
from pydantic import TypeAdapter, ValidationError

from nemo_gym.openai_utils import NeMoGymResponse, RawItem, RawParams, RawResponse
from nemo_gym.wire.environment import RawRunRequest
from nemo_gym.wire.raw_json import RawJson

TOKENS = {"prompt_token_ids": [1], "generation_token_ids": [7] * 500, "generation_log_probs": [-0.25] * 500}
MESSAGE = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}", "odd": {"deep": [None]}}
RESPONSE = {"id": "r", "created_at": 1, "model": "m", "output": [CALL, MESSAGE | TOKENS], "engine": {"a": 1e-9}}


def response(**changes: Any) -> RawResponse:
    return RawResponse.json_checked(orjson.dumps({**RESPONSE, **changes}))


def test_a_response_goes_on_as_the_text_it_came_as() -> None:
    text = orjson.dumps(RESPONSE, option=orjson.OPT_INDENT_2)
    assert RawResponse.json_checked(text).json_text == text


def test_its_attributes_are_those_of_the_model() -> None:
    raw = response()
    assert isinstance(raw.json_parsed, NeMoGymResponse)
    assert (raw.output_text, raw.output[1].generation_token_ids[:2]) == ("hi", [7, 7])
    with pytest.raises(AttributeError):
        _ = raw.no_such_field


def test_its_items_have_a_head_and_are_otherwise_raw_text() -> None:
    call, message = response().json_items()
    assert (call.json_head.type, call.json_head.name, call.json_head.call_id, call.json_head.arguments) == (
        "function_call",
        "look",
        "c",
        "{}",
    )
    assert orjson.loads(call.json_text) == CALL
    assert orjson.loads(message.json_text) == MESSAGE | TOKENS


def test_items_of_several_responses_make_one_output_with_all_their_tokens() -> None:
    first, second = response(), response(output=[MESSAGE | TOKENS | {"generation_token_ids": [9] * 500}])
    joined = second.json_with(
        output=[*first.json_items(), RawItem.function_call_output("c", 'a "b"'), *second.json_items()]
    )
    output = orjson.loads(joined.json_text)["output"]
    assert output[1] == MESSAGE | TOKENS
    assert output[2] == {"type": "function_call_output", "call_id": "c", "output": 'a "b"'}
    assert output[3]["generation_token_ids"] == [9] * 500
    assert orjson.loads(joined.json_text)["engine"] == {"a": 1e-9}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"output": None}, id="no-list"),
        pytest.param({"output": [{"type": "function_call", "name": "look"}]}, id="half-a-call"),
        pytest.param({"output": [3]}, id="no-item"),
        pytest.param({"id": 3}, id="no-id"),
    ],
)
def test_what_is_no_response_is_refused_by_both_looks_at_it(broken: dict[str, Any]) -> None:
    text = orjson.dumps({**RESPONSE, **broken})
    with pytest.raises(ValidationError):
        RawResponse.json_checked(text)
    with pytest.raises(DecodeError):
        RawResponse.json_unchecked(text).json_items()


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
            RawParams.json_checked(orjson.dumps(params))
        assert ".".join(map(str, refused.value.errors()[0]["loc"])).startswith(where)


def test_parameters_lose_nothing_but_streaming() -> None:
    given = {"input": [MESSAGE | TOKENS], "engine_option": {"a": None}, "stream": False, "stream_options": None}
    kept = orjson.loads(RawParams.json_checked(orjson.dumps(given)).json_text)
    assert kept == {"input": [MESSAGE | TOKENS], "engine_option": {"a": None}}


def test_text_as_input_is_the_message_of_its_user() -> None:
    (item,) = RawParams.json_checked(orjson.dumps({"input": 'say "hi"'})).json_input_items()
    assert orjson.loads(item.json_text) == {"role": "user", "content": 'say "hi"'}


def test_the_items_of_the_input_are_raw_text() -> None:
    items = RawParams.json_checked(orjson.dumps({"input": [CALL, MESSAGE | TOKENS]})).json_input_items()
    assert [orjson.loads(item.json_text) for item in items] == [CALL, MESSAGE | TOKENS]


def test_a_model_is_taken_for_the_text_it_would_be() -> None:
    typed = NeMoGymResponse.model_validate(RESPONSE)
    assert orjson.loads(RawResponse.json_of(typed).json_text) == RESPONSE
    raw = response()
    assert RawResponse.json_of(raw) is raw


def test_no_attribute_of_the_model_is_hidden_by_one_of_the_text() -> None:
    own = {name for name in vars(RawJson) | vars(RawResponse) if not name.startswith("_")}
    assert all(name.startswith("json_") for name in own)
    raw = response(text={"verbosity": "low"}, model="policy")
    assert (raw.model, raw.text.verbosity, len(raw.output)) == ("policy", "low", 2)


@pytest.mark.parametrize(
    ("key", "array"),
    [
        pytest.param("generation_log_probs", b"[" + b"-0.25," * 300 + b"NaN]", id="nan"),
        pytest.param("generation_log_probs", b"[" + b"-0.25," * 300 + b"-1e999]", id="infinite"),
        pytest.param("generation_log_probs", b"[" + b"-0.25," * 300 + b",1]", id="no-json"),
        pytest.param("generation_token_ids", b"[" + b"7," * 300 + b"7.5]", id="half-a-token"),
        pytest.param("generation_token_ids", b"[" + b"7 " * 300 + b"]", id="no-commas"),
        pytest.param("prompt_token_ids", b"[" + b'"7",' * 300 + b'"7"]', id="ids-as-text"),
        pytest.param("prompt_token_ids", b'["7"]', id="short-ids-as-text"),
        pytest.param("prompt_token_ids", b"[true]", id="short-and-true"),
        pytest.param("generation_log_probs", b'["-0.25"]', id="short-and-text"),
    ],
)
def test_an_array_that_holds_other_than_its_numbers_is_refused(key: str, array: bytes) -> None:
    text = orjson.dumps({**RESPONSE, "output": [MESSAGE | {**TOKENS, key: ["here"]}]}).replace(b'["here"]', array)
    with pytest.raises(ValueError, match=r"token|character|integer|number|JSON|range"):
        RawResponse.json_checked(text)


def test_log_probabilities_in_scientific_notation_are_numbers() -> None:
    raw = response(output=[MESSAGE | TOKENS | {"generation_log_probs": [-1e-30] * 500}])
    assert raw.output[0].generation_log_probs == [-1e-30] * 500


def test_a_task_row_is_checked_whole() -> None:
    row = {"responses_create_params": {"input": [{"role": "cook", "content": ""}]}}
    with pytest.raises(ValidationError) as refused:
        RawRunRequest.json_checked(orjson.dumps(row))
    assert "responses_create_params" in refused.value.errors()[0]["loc"]


def test_the_documentation_shows_the_model() -> None:
    schema = TypeAdapter(RawParams).json_schema()
    assert {"input", "tools", "temperature"} <= set(schema["properties"])
