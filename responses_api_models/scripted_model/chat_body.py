"""Answers as chat completions: one prepared answer into the body of `POST /v1/chat/completions`."""

import time
from collections.abc import Mapping
from typing import Any

from responses_api_models.scripted_model.answer import Answer
from responses_api_models.scripted_model.ids import fresh_id
from responses_api_models.scripted_model.response_body import (
    estimated_input_tokens,
    estimated_output_tokens,
    output_items,
)

_FINISH_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


def chat_body(answer: Answer, request: Mapping[str, Any], *, model: str, request_bytes: int) -> dict[str, Any]:
    """Return a complete chat completion for a request.

    Args:
        answer: The answer, templates already filled. Of raw `output` items the texts, reasoning and calls are told;
            what chat has no place for (token ids, unknown item types) is left out.
        request: The create parameters; nothing of them is echoed in this API.
        model: Model name to report.
        request_bytes: Size of the request, from which the input tokens are estimated.
    """
    message = _message(output_items(answer) if answer.output is None else answer.output)
    finish_reason = "tool_calls" if "tool_calls" in message else "stop"
    if answer.incomplete:
        finish_reason = _FINISH_REASONS[answer.incomplete]
    return {
        "id": fresh_id("chatcmpl-"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
        "usage": _usage(answer, request_bytes),
    }


def _message(items: list[dict[str, Any]]) -> dict[str, Any]:
    text = _joined(items, "message", "content")
    reasoning = _joined(items, "reasoning", "summary")
    calls = [_tool_call(item) for item in items if item.get("type") == "function_call"]
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = calls
    return message


def _joined(items: list[dict[str, Any]], kind: str, place: str) -> str | None:
    """Return the texts of all items of a kind; None when there is no such item, unlike an empty text."""
    parts = [part for item in items if item.get("type") == kind for part in item.get(place) or ()]
    return "".join(str(part.get("text", "")) for part in parts) if parts else None


def _tool_call(item: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def _usage(answer: Answer, request_bytes: int) -> dict[str, Any]:
    given = answer.usage
    prompt_tokens = given.input_tokens if given else estimated_input_tokens(request_bytes)
    completion_tokens = given.output_tokens if given else estimated_output_tokens(answer)
    return {
        "prompt_tokens": prompt_tokens,
        "prompt_tokens_details": {"cached_tokens": given.cached_tokens if given else 0},
        "completion_tokens": completion_tokens,
        "completion_tokens_details": {"reasoning_tokens": given.reasoning_tokens if given else 0},
        "total_tokens": prompt_tokens + completion_tokens,
    }
