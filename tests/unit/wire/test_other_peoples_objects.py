"""What programs written for this interface hand to our types, and read from them."""

import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails, ResponseUsage

from nemo_gym.openai_utils import (
    NeMoGymChatCompletionCreateParamsNonStreaming,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
    NeMoGymResponseFunctionToolCall,
    NeMoGymResponseOutputMessage,
)
from nemo_gym.servers.http.json_body import encode_result

PARTS = [{"type": "input_text", "text": "hi"}]


def test_objects_of_the_openai_package_are_taken_as_items_and_usage() -> None:
    text = ResponseOutputText(type="output_text", text="It is cold.", annotations=[])
    message = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])
    call = ResponseFunctionToolCall(type="function_call", call_id="c", name="get_weather", arguments="{}")
    details: dict[str, Any] = {
        "input_tokens_details": InputTokensDetails.model_construct(cached_tokens=3, cache_write_tokens=0),
        "output_tokens_details": OutputTokensDetails(reasoning_tokens=1),
    }
    usage = ResponseUsage(input_tokens=5, output_tokens=2, total_tokens=7, **details)
    response = NeMoGymResponse(id="r", created_at=1, model="m", output=[call, message], usage=usage)  # type: ignore[arg-type, list-item]
    assert isinstance(response.output[0], NeMoGymResponseFunctionToolCall)
    assert isinstance(response.output[1], NeMoGymResponseOutputMessage)
    assert response.output_text == "It is cold."
    assert response.usage is not None
    assert (response.usage.total_tokens, response.usage.input_tokens_details.cached_tokens) == (7, 3)


def test_a_part_of_an_input_message_can_be_read_as_a_dictionary_too() -> None:
    params = NeMoGymResponseCreateParamsNonStreaming(input=[{"type": "message", "role": "user", "content": PARTS}])  # type: ignore[list-item]
    part: Any = params.input[0].content[0]  # type: ignore[union-attr]
    assert (part["text"], part.text) == ("hi", "hi")
    with pytest.raises(KeyError):
        part["no such field"]


def test_a_response_is_written_with_what_the_api_always_has() -> None:
    response = NeMoGymResponse(id="r", created_at=1, model="m", output=[])
    written = json.loads(encode_result(response))
    assert written["tools"] == []
    assert (written["tool_choice"], written["parallel_tool_calls"], written["object"]) == ("auto", True, "response")
    assert Response.model_validate(written, strict=True).id == "r"


def test_chat_parameters_allow_parallel_calls_unless_told_otherwise() -> None:
    assert NeMoGymChatCompletionCreateParamsNonStreaming(messages=[]).parallel_tool_calls is True
