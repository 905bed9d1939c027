"""The prepared answers of the mock endpoint: a tool call, so many times, then a message.

Written out here, although `responses_api_models/scripted_model` has something like it: nothing in this folder may
change, or become slower or faster, together with what it is compared with.
"""

import json
import random
from typing import Any

PROMPT_TOKENS = 1024
VOCABULARY = 150_000

_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1.0,
    "model": "mock",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "status": "completed",
    "usage": {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    },
}
_ARGUMENTS = '{"city":"Seattle"}'
_TEXT = "It is cold in Seattle."


class Episode:
    """The answers of one episode as HTTP packets.

    Args:
        tool_calls: Calls of `get_weather` before the final message.
        tokens: Generated tokens whose ids and log-probabilities the final Response's message carries; 0: none.
    """

    def __init__(self, tool_calls: int, tokens: int = 0) -> None:
        self._tool_calls = tool_calls
        self._call = packet(json.dumps(_response(_tool_call())).encode())
        self._done = packet(json.dumps(_response(_message() | token_data(tokens))).encode())
        self._chat_call = packet(json.dumps(_chat("tool_calls", _chat_call())).encode())
        self._chat_done = packet(json.dumps(_chat("stop", {"role": "assistant", "content": _TEXT})).encode())

    def tool_results(self, body: bytes, *, is_chat: bool) -> int:
        """Return how many tool results a request holds."""
        if is_chat:
            return body.count(b'"role":"tool"') + body.count(b'"role": "tool"')
        return body.count(b'"function_call_output"')

    def answer(self, seen: int, *, is_chat: bool) -> bytes:
        """Return the answer to a request with `seen` tool results."""
        if seen >= self._tool_calls:
            return self._chat_done if is_chat else self._done
        return self._chat_call if is_chat else self._call


def packet(body: bytes) -> bytes:
    """Return `body` as an HTTP answer."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    return head + str(len(body)).encode() + b"\r\n\r\n" + body


def token_data(count: int) -> dict[str, Any]:
    """Return the ids and log-probabilities of `count` generated tokens; nothing for 0."""
    if not count:
        return {}
    draw = random.Random(0)  # the same in every run
    return {
        "prompt_token_ids": [draw.randrange(VOCABULARY) for _ in range(PROMPT_TOKENS)],
        "generation_token_ids": [draw.randrange(VOCABULARY) for _ in range(count)],
        "generation_log_probs": [-draw.expovariate(1.0) for _ in range(count)],
    }


def _response(item: dict[str, Any]) -> dict[str, Any]:
    return _RESPONSE | {"output": [item]}


def _tool_call() -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "get_weather",
        "arguments": _ARGUMENTS,
        "status": "completed",
    }


def _message() -> dict[str, Any]:
    text = {"type": "output_text", "text": _TEXT, "annotations": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}


def _chat(finish_reason: str, message: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "mock",
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        "choices": [{"index": 0, "finish_reason": finish_reason, "message": message}],
    }


def _chat_call() -> dict[str, Any]:
    function = {"name": "get_weather", "arguments": _ARGUMENTS}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
    }
