"""Response and create parameters of the Responses API."""

import json
import warnings

import pytest
from fastapi import Body, FastAPI
from fastapi.testclient import TestClient
from openai.types.responses import Response
from pydantic import ValidationError

from nemo_gym.openai_utils import NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming

MINIMAL = {"id": "r", "created_at": 1700000000, "model": "m", "output": []}
FULL = {
    **MINIMAL,
    "object": "response",
    "status": "incomplete",
    "incomplete_details": {"reason": "max_output_tokens", "seen": 7},
    "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": None}],
    "tool_choice": {"type": "function", "name": "f"},
    "parallel_tool_calls": False,
    "reasoning": {"effort": "low"},
    "instructions": [{"role": "system", "content": "be brief"}],
    "usage": {
        "input_tokens": 1,
        "output_tokens": 2,
        "total_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},  # the second is newer than 2.6.1
    },
    "engine_info": {"node": [1, None]},
}


@pytest.mark.parametrize("body", [pytest.param(MINIMAL, id="minimal"), pytest.param(FULL, id="full")])
def test_a_response_goes_through_unchanged(body):
    response = NeMoGymResponse.model_validate(body)
    assert response.model_dump(exclude_unset=True) == body
    again = NeMoGymResponse.model_validate(json.loads(json.dumps(response.model_dump(mode="json"))))
    assert again.model_dump() == response.model_dump()


def test_a_dumped_response_is_one_for_the_openai_package():
    assert Response.model_validate(NeMoGymResponse.model_validate(FULL).model_dump()).usage.total_tokens == 3


def test_what_an_engine_leaves_out_has_the_published_default():
    response = NeMoGymResponse.model_validate(MINIMAL)
    assert (response.tools, response.tool_choice, response.parallel_tool_calls) == ([], "auto", True)
    assert NeMoGymResponse.model_validate(FULL).usage.output_tokens_details.reasoning_tokens == 0


@pytest.mark.parametrize("missing", ["id", "output"])
def test_an_object_that_is_not_a_response_is_refused(missing):
    body = {key: value for key, value in FULL.items() if key != missing}
    with pytest.raises(ValidationError, match=missing):
        NeMoGymResponse.model_validate(body)


def test_output_text_joins_the_texts_of_all_messages():
    message = {"type": "message", "role": "assistant", "id": "m", "content": [{"type": "output_text", "text": "a"}]}
    refusal = {**message, "content": [{"type": "refusal", "refusal": "no"}]}
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}
    response = NeMoGymResponse.model_validate({**MINIMAL, "output": [message, call, refusal, message]})
    assert response.output_text == "aa"


def test_parameters_go_through_unchanged_and_tools_keep_their_key_order():
    tool = {"name": "f", "type": "function", "strict": True, "parameters": None, "x_note": 1}
    body = {"tools": [tool, {"type": "web_search"}], "input": "hi", "temperature": 0.5, "x_seed": 3, "metadata": {}}
    dumped = NeMoGymResponseCreateParamsNonStreaming.model_validate(body).model_dump(exclude_unset=True)
    assert dumped == body
    assert list(dumped["tools"][0]) == list(tool)


def test_parameters_left_out_have_the_published_default():
    params = NeMoGymResponseCreateParamsNonStreaming(input="hi")
    assert (params.tools, params.tool_choice, params.parallel_tool_calls) == ([], "auto", True)
    assert params.temperature is None


@pytest.mark.parametrize("stream", [False, None], ids=["false", "null"])
def test_streaming_switched_off_is_accepted_and_left_out(stream):
    params = NeMoGymResponseCreateParamsNonStreaming(input="hi", stream=stream, stream_options=None)
    assert params.model_dump(exclude_unset=True) == {"input": "hi"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param({"stream": True}, "streaming is not supported", id="stream"),
        pytest.param({"temperature": 2.1}, "less than or equal to 2", id="temperature"),
        pytest.param({"top_p": -0.1}, "greater than or equal to 0", id="top-p"),
        pytest.param({"max_output_tokens": 0}, "greater than or equal to 1", id="no-tokens"),
        pytest.param({"tools": [{"type": "function"}]}, "a function tool needs a `name`", id="tool-name"),
        pytest.param({"tools": [{"name": "f"}]}, "object with a `type`", id="tool-type"),
        pytest.param({"tools": [{"type": "function", "name": "f", "parameters": []}]}, "'f'", id="tool-schema"),
        pytest.param({"input": 3}, "valid list", id="input"),
    ],
)
def test_wrong_parameters_are_refused_in_words(wrong, words):
    with pytest.raises(ValidationError, match=words) as caught:
        NeMoGymResponseCreateParamsNonStreaming.model_validate({"input": "hi", **wrong})
    assert len(caught.value.errors()) == 1


def test_a_server_takes_and_gives_a_response_unchanged_and_without_warnings():
    app = FastAPI()
    with warnings.catch_warnings():
        # A model whose building is deferred makes FastAPI warn for every handler that takes it.
        warnings.simplefilter("error")

        @app.post("/echo", response_model_exclude_unset=True)
        async def echo(body: NeMoGymResponse = Body()) -> NeMoGymResponse:
            return body

        app.openapi()
    with TestClient(app) as client:
        assert client.post("/echo", json=FULL).json() == FULL
