"""Answers as Responses: one prepared answer into the body of `POST /v1/responses`."""

import time
from collections.abc import Mapping
from typing import Any

from responses_api_models.scripted_model.answer import Answer
from responses_api_models.scripted_model.ids import fresh_id

_BYTES_PER_TOKEN = 4  # the usual rule of thumb; exact counts come with `usage`

_SKELETON: dict[str, Any] = {
    "object": "response",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
}
_ECHOED = ("instructions", "max_output_tokens", "metadata", "parallel_tool_calls", "reasoning", "temperature", "top_p")
_FUNCTION_TOOL_DEFAULTS = {"parameters": None, "strict": True}  # as the published API fills them in


def response_body(answer: Answer, request: Mapping[str, Any], *, model: str, request_bytes: int) -> dict[str, Any]:
    """Return a complete Response for a request.

    Args:
        answer: The answer, templates already filled.
        request: The create parameters; sampling settings, tools and metadata are echoed like the published API does.
        model: Model name to report.
        request_bytes: Size of the request, from which the input tokens are estimated.
    """
    response: dict[str, Any] = {
        "id": fresh_id("resp_"),
        "created_at": int(time.time()),
        **_SKELETON,
        **{name: request[name] for name in _ECHOED if request.get(name) is not None},
        "model": model,
        "output": output_items(answer) if answer.output is None else answer.output,
        "status": "completed",
        "usage": _usage(answer, request_bytes),
    }
    if answer.incomplete:
        response |= {"status": "incomplete", "incomplete_details": {"reason": answer.incomplete}}
    if request.get("tools"):
        response["tools"] = [_whole_tool(tool) for tool in request["tools"]]
        response["tool_choice"] = request.get("tool_choice") or "auto"
    return response


def output_items(answer: Answer) -> list[dict[str, Any]]:
    """Return the items of an answer that was written in the short form, with fresh ids."""
    items = []
    if answer.reasoning is not None:
        summary = [{"type": "summary_text", "text": answer.reasoning}]
        items.append({"id": fresh_id("rs_"), "type": "reasoning", "summary": summary})
    if answer.message is not None:
        items.append(_message_item(answer.message))
    for call in answer.all_calls():
        items.append(_call_item(call.name, call.arguments_text()))
    return items


def estimated_output_tokens(answer: Answer) -> int:
    """Return the token count of a short-form answer by its size, at least 1; raw output items count as 1."""
    texts = [answer.message or "", answer.reasoning or "", *(call.arguments_text() for call in answer.all_calls())]
    return max(1, sum(map(len, texts)) // _BYTES_PER_TOKEN)


def estimated_input_tokens(request_bytes: int) -> int:
    """Return the token count of a request by its size, at least 1."""
    return max(1, request_bytes // _BYTES_PER_TOKEN)


def _message_item(text: str) -> dict[str, Any]:
    return {
        "id": fresh_id("msg_"),
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }


def _call_item(name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": fresh_id("fc_"),
        "type": "function_call",
        "status": "completed",
        "call_id": fresh_id("call_"),
        "name": name,
        "arguments": arguments,
    }


def _whole_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**_FUNCTION_TOOL_DEFAULTS, **tool} if tool.get("type") == "function" else tool


def _usage(answer: Answer, request_bytes: int) -> dict[str, Any]:
    given = answer.usage
    input_tokens = given.input_tokens if given else estimated_input_tokens(request_bytes)
    output_tokens = given.output_tokens if given else estimated_output_tokens(answer)
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": given.cached_tokens if given else 0, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": given.reasoning_tokens if given else 0},
        "total_tokens": input_tokens + output_tokens,
    }
