"""Answers as the two APIs send them: one prepared answer into a Response or into a chat completion."""

import itertools
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from nemo_gym.models.chat import CallTokenData, RequestConversionError, attach_token_data, to_chat_request
from nemo_gym.wire.json_object import JsonObject
from responses_api_models.scripted_model import tokens
from responses_api_models.scripted_model.asgi import RequestError
from responses_api_models.scripted_model.script import Answer, Failure, Usage

_BYTES_PER_TOKEN = 4  # the usual rule of thumb; exact counts come with `usage` and with token data

_SKELETON: JsonObject = {
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
# `error` and `abort` are vLLM's; chat has no word for an answer that isn't there yet.
_FINISH_REASONS = {"max_output_tokens": "length", "failed": "error", "cancelled": "abort"}

_process = secrets.token_hex(6)
_numbers = itertools.count(1)


def _start_anew() -> None:
    global _process
    _process = secrets.token_hex(6)


# A forked worker would otherwise go on with its parent's ids.
os.register_at_fork(after_in_child=_start_anew)


def response_body(answer: Answer, request: Mapping[str, Any], *, model: str, request_bytes: int) -> JsonObject:
    """Return a complete Response for a request.

    Args:
        answer: The answer, templates already filled.
        request: The create parameters; sampling settings, tools and metadata are echoed like the published API does.
        model: Model name to report.
        request_bytes: Size of the request, from which the input tokens are estimated.
    """
    response: JsonObject = {
        "id": _fresh_id("resp_"),
        "created_at": int(time.time()),
        **_SKELETON,
        **{name: request[name] for name in _ECHOED if request.get(name) is not None},
        "model": model,
        "output": _output_items(answer),
        "status": answer.status,
        "usage": None if answer.status in ("queued", "in_progress") else _response_usage(answer, request_bytes),
    }
    if answer.incomplete:
        response |= {"status": "incomplete", "incomplete_details": {"reason": answer.incomplete}}
    if answer.status == "failed":
        response["error"] = (answer.error or Failure()).model_dump()
    if request.get("tools"):
        response["tools"] = [_whole_tool(tool) for tool in request["tools"]]
        response["tool_choice"] = request.get("tool_choice") or "auto"
    return response


def add_token_data(response: JsonObject, answer: Answer, request: Mapping[str, Any]) -> None:
    """Put token data on the last item of a Response, as a model server does whose trainer asked for it.

    Args:
        response: What `response_body` made of the answer. Raw `output` items stay as they are.
        answer: The answer.
        request: The create parameters, of which the prompt ids are made as of the same chat request.

    Raises:
        RequestError: The conversation holds what a chat request can't.
    """
    if answer.output is not None or not response["output"]:
        return
    asked = {name: request[name] for name in ("input", "instructions", "tools") if name in request}
    try:
        chat = to_chat_request(asked).body
    except RequestConversionError as error:
        raise RequestError(f"No token data for this conversation: {error}") from error
    cut_off = answer.incomplete is not None or answer.status != "completed"
    data = tokens.token_data(chat, _chat_message(response["output"]), cut_off=cut_off)
    attach_token_data(response["output"], CallTokenData(*data))
    if answer.usage is None and response["usage"] is not None:
        given, generated = len(data.prompt_ids), len(data.ids)
        counts = {"input_tokens": given, "output_tokens": generated, "total_tokens": given + generated}
        response["usage"] |= counts


def chat_body(answer: Answer, request: Mapping[str, Any], *, model: str, request_bytes: int) -> JsonObject:
    """Return a complete chat completion for a request.

    Args:
        answer: The answer, templates already filled. Of raw `output` items the texts, reasoning and calls are told;
            what chat has no place for (token ids, unknown item types) is left out.
        request: The create parameters; they decide whether token data are part of the answer.
        model: Model name to report.
        request_bytes: Size of the request, from which the input tokens are estimated.
    """
    message = _chat_message(_output_items(answer))
    finish_reason = _finish_reason(answer, message)
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
    completion = {
        "id": _fresh_id("chatcmpl-"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
    }
    data = None
    if tokens.is_wanted(request):
        data = tokens.token_data(request, message, cut_off=finish_reason not in ("stop", "tool_calls"))
        if request.get("logprobs"):
            choice["logprobs"] = {"content": tokens.log_prob_entries(request, data)}
        if request.get("return_token_ids"):
            choice["token_ids"], completion["prompt_token_ids"] = data.ids, data.prompt_ids
    return {**completion, "usage": _chat_usage(answer, request_bytes, data)}


def _fresh_id(prefix: str) -> str:
    """Return an id that no process gave before, e.g. `call_3f9c0b1d2e4a0000000000000017`."""
    return f"{prefix}{_process}{next(_numbers):016x}"


def _output_items(answer: Answer) -> list[JsonObject]:
    """Return the raw items, or those of an answer in the short form, with fresh ids."""
    if answer.output is not None:
        return answer.output
    items: list[JsonObject] = []
    if answer.reasoning is not None:
        summary = [{"type": "summary_text", "text": answer.reasoning}]
        items.append({"id": _fresh_id("rs_"), "type": "reasoning", "summary": summary})
    if answer.message is not None:
        items.append(_message_item({"type": "output_text", "text": answer.message, "annotations": []}))
    if answer.refusal is not None:
        items.append(_message_item({"type": "refusal", "refusal": answer.refusal}))
    for call in answer.all_calls():
        items.append(_call_item(call.name, call.arguments_text()))
    return items


def _message_item(part: JsonObject) -> JsonObject:
    message = {"id": _fresh_id("msg_"), "type": "message", "role": "assistant", "status": "completed"}
    return {**message, "content": [part]}


def _call_item(name: str, arguments: str) -> JsonObject:
    call = {"id": _fresh_id("fc_"), "type": "function_call", "status": "completed", "call_id": _fresh_id("call_")}
    return {**call, "name": name, "arguments": arguments}


def _whole_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**_FUNCTION_TOOL_DEFAULTS, **tool} if tool.get("type") == "function" else tool


def _chat_message(items: list[JsonObject]) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": _joined(items, "message", "content", "text")}
    message["refusal"] = _joined(items, "message", "content", "refusal")
    reasoning = _joined(items, "reasoning", "content", "text") or _joined(items, "reasoning", "summary", "text")
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    calls = [_tool_call(item) for item in items if item.get("type") == "function_call"]
    if calls:
        message["tool_calls"] = calls
    return message


def _joined(items: list[JsonObject], kind: str, place: str, field: str) -> str | None:
    """Return this field of all parts of all items of a kind; None when no part has it, unlike an empty text."""
    parts = [str(part[field]) for part in _parts(items, kind, place) if field in part]
    return "".join(parts) if parts else None


def _parts(items: list[JsonObject], kind: str, place: str) -> Iterator[Mapping[str, Any]]:
    return (part for item in items if item.get("type") == kind for part in item.get(place) or ())


def _tool_call(item: Mapping[str, Any]) -> JsonObject:
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def _finish_reason(answer: Answer, message: Mapping[str, Any]) -> str | None:
    if answer.status in ("queued", "in_progress"):
        return None
    ended = "tool_calls" if "tool_calls" in message else "stop"
    why = answer.incomplete or answer.status
    return ended if why == "completed" else _FINISH_REASONS.get(why, why)


def _usage(answer: Answer, request_bytes: int, data: tokens.TokenData | None) -> Usage:
    """Return the written counts, else those of the token data, else estimates from the sizes, each at least 1."""
    if answer.usage:
        return answer.usage
    if data:
        return Usage(input_tokens=len(data.prompt_ids), output_tokens=len(data.ids))
    texts = [answer.message, answer.refusal, answer.reasoning, *(call.arguments_text() for call in answer.all_calls())]
    characters = sum(len(text or "") for text in texts)
    estimates = (max(1, size // _BYTES_PER_TOKEN) for size in (request_bytes, characters))
    return Usage(input_tokens=next(estimates), output_tokens=next(estimates))


def _response_usage(answer: Answer, request_bytes: int) -> JsonObject:
    counts = _usage(answer, request_bytes, None)
    return {
        "input_tokens": counts.input_tokens,
        "input_tokens_details": {"cached_tokens": counts.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": counts.output_tokens,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
        "total_tokens": counts.input_tokens + counts.output_tokens,
    }


def _chat_usage(answer: Answer, request_bytes: int, data: tokens.TokenData | None) -> JsonObject:
    counts = _usage(answer, request_bytes, data)
    return {
        "prompt_tokens": counts.input_tokens,
        "prompt_tokens_details": {"cached_tokens": counts.cached_tokens},
        "completion_tokens": counts.output_tokens,
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
        "total_tokens": counts.input_tokens + counts.output_tokens,
    }
