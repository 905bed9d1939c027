"""Faults on demand: what goes wrong, with which requests, and how it looks to the client.

Seed and request number alone decide. A connection is broken by returning before the promised body is complete: the HTTP
server then closes it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from nemo_gym.wire.json_object import JsonObject
from responses_api_models.scripted_model import tokens
from responses_api_models.scripted_model.asgi import (
    JSON_TYPE,
    Receive,
    Send,
    error_body,
    send_body,
    send_headers,
    wait_until_client_leaves,
)
from responses_api_models.scripted_model.conversation import Conversation, When
from responses_api_models.scripted_model.script import Answer, Latency

_HTML = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>\n"
_OTHER_JSON = orjson.dumps({"jobs": [{"id": 7, "state": "running"}], "next": None})
_FILLING = b"x" * 1_000_000
_PLACE = "\u2402filling\u2402"  # where the huge text goes; no ordinary body contains it

Render = Callable[[Answer], bytes]


class _Fault(BaseModel):
    """When a fault strikes: everything given must hold; with nothing given it strikes always."""

    model_config = ConfigDict(extra="forbid")

    rate: float | None = Field(
        default=None, ge=0, le=1, description="Share of requests; rates of several faults add up, each exact."
    )
    every: int | None = Field(default=None, ge=1, description="Each n-th request.")
    on_requests: frozenset[int] | None = Field(default=None, description="Request numbers, from 1.")
    when: When | None = Field(default=None, description="As in rules.")


class StatusFault(_Fault):
    """An error answer with any status."""

    kind: Literal["status"]
    status: int = Field(ge=200, le=599, description="HTTP status.")
    code: str | None = Field(default=None, description="OpenAI error code, e.g. context_length_exceeded.")
    message: str | None = Field(default=None, description="Error text; absent: the usual one of the code.")
    headers: dict[str, str] = Field(default_factory=dict, description="Extra headers, e.g. Retry-After.")
    body: JsonObject | str | None = Field(default=None, description="Whole body instead of an OpenAI error.")


class SlowFault(_Fault):
    """A good answer, later."""

    kind: Literal["slow"]
    latency_s: Latency = Field(description="Seconds or [min, max], added to the usual latency.")


class HugeBodyFault(_Fault):
    """A valid answer with a message of this size."""

    kind: Literal["huge_body"]
    size_bytes: int = Field(default=50_000_000, ge=1, le=10_000_000_000, description="Bytes of message text.")


class TokenDataFault(_Fault):
    """A good answer with bad token data; without token data it stays as it is.

    retokenized: earlier answers have other ids in the prompt than when they were generated. no_prompt_token_ids,
    no_token_ids, no_logprobs: left out. misaligned: one log-probability is missing. nan, null: the first
    log-probability is NaN (which strict JSON parsers refuse) or null.
    """

    kind: Literal["token_data"]
    problem: Literal[
        "retokenized", "no_prompt_token_ids", "no_token_ids", "no_logprobs", "misaligned", "nan", "null"
    ] = Field(description="What is wrong with the token data.")


class WireFault(_Fault):
    """A connection or a body that is not as it should be.

    silent: never answers, until the client leaves. drop_after_headers: good headers, then the connection closes.
    half_body: closes in the middle of a good body. html: 200 with a web page. not_a_response: 200 with other JSON.
    """

    kind: Literal["silent", "drop_after_headers", "half_body", "html", "not_a_response"]


Fault = Annotated[StatusFault | SlowFault | HugeBodyFault | TokenDataFault | WireFault, Field(discriminator="kind")]
FAULTS: TypeAdapter[list[Fault]] = TypeAdapter(list[Fault])


def pick_fault(
    faults: Sequence[Fault], conversation: Conversation, *, request_number: int, chance: float
) -> Fault | None:
    """Return the first fault that strikes this request, or None.

    Args:
        faults: In order of precedence.
        conversation: The request.
        request_number: Number of the request at this endpoint, from 1.
        chance: The request's draw, in [0, 1). Each rate takes its own stretch of it, so that 0.3 and 0.1
            are 30 % and 10 % of all requests, not 10 % of what the first left.
    """
    for fault in faults:
        if not _meant(fault, conversation, request_number):
            continue
        if fault.rate is None or chance < fault.rate:
            return fault
        chance -= fault.rate
    return None


def _meant(fault: _Fault, conversation: Conversation, request_number: int) -> bool:
    if fault.every is not None and request_number % fault.every:
        return False
    if fault.on_requests is not None and request_number not in fault.on_requests:
        return False
    return fault.when is None or fault.when.match(conversation) is not None


async def play_fault(
    fault: StatusFault | HugeBodyFault | WireFault, answer: Answer, render: Render, receive: Receive, send: Send
) -> None:
    """Answer a request in the faulty way.

    Args:
        fault: What is to go wrong.
        answer: What would have been answered.
        render: Makes the body of the request's API from an answer.
        receive: ASGI, the body already read.
        send: ASGI.
    """
    if isinstance(fault, StatusFault):
        await _send_status(fault, send)
    elif isinstance(fault, HugeBodyFault):
        await _send_huge_body(fault.size_bytes, render, send)
    elif fault.kind == "silent":
        await wait_until_client_leaves(receive)
    elif fault.kind == "drop_after_headers":
        await send_headers(send, len(render(answer)))
    elif fault.kind == "half_body":
        await _send_half(render(answer), send)
    elif fault.kind == "html":
        await send_body(send, _HTML, media_type=b"text/html; charset=utf-8")
    else:
        await send_body(send, _OTHER_JSON)


def spoiled(body: JsonObject, fault: TokenDataFault) -> bytes:
    """Return a chat completion or a Response as JSON text after the fault spoilt its token data."""
    if "choices" in body:
        _spoil_completion(body, fault)
    if "output" in body:
        body["output"] = [_spoiled_item(item, fault.problem) for item in body["output"]]
    return json.dumps(body).encode()  # unlike orjson it writes NaN


def _spoiled_item(item: JsonObject, problem: str) -> JsonObject:
    if not item.keys() >= set(_ITEM_FIELDS.values()):
        return item
    if problem in _ITEM_FIELDS:
        return {name: value for name, value in item.items() if name != _ITEM_FIELDS[problem]}
    prompt, log_probs = item["prompt_token_ids"], item["generation_log_probs"]
    if problem == "retokenized":
        return {**item, "prompt_token_ids": tokens.retokenized(prompt)}
    if problem == "misaligned":
        return {**item, "generation_log_probs": log_probs[:-1]}
    first = float("nan") if problem == "nan" else None
    return {**item, "generation_log_probs": [first, *log_probs[1:]]}


_ITEM_FIELDS = {
    "no_prompt_token_ids": "prompt_token_ids",
    "no_token_ids": "generation_token_ids",
    "no_logprobs": "generation_log_probs",
}


def _spoil_completion(completion: JsonObject, fault: TokenDataFault) -> None:
    for choice in completion["choices"]:
        content = (choice.get("logprobs") or {}).get("content") or [{}]
        if fault.problem == "no_token_ids":
            choice.pop("token_ids", None)
        elif fault.problem == "no_logprobs":
            choice["logprobs"] = None
        elif fault.problem == "misaligned":
            content.pop()
        elif fault.problem in ("nan", "null"):
            content[0]["logprob"] = float("nan") if fault.problem == "nan" else None
    if fault.problem == "no_prompt_token_ids":
        completion.pop("prompt_token_ids", None)
    elif fault.problem == "retokenized" and "prompt_token_ids" in completion:
        completion["prompt_token_ids"] = tokens.retokenized(completion["prompt_token_ids"])


async def _send_status(fault: StatusFault, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fault.headers.items()]
    if isinstance(fault.body, str):
        body, media_type = fault.body.encode(), b"text/plain; charset=utf-8"
    elif fault.body is not None:
        body, media_type = orjson.dumps(fault.body), JSON_TYPE
    else:
        body, media_type = error_body(fault.status, code=fault.code, message=fault.message), JSON_TYPE
    await send_body(send, body, status=fault.status, media_type=media_type, headers=headers)


async def _send_half(body: bytes, send: Send) -> None:
    await send_headers(send, len(body))
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


async def _send_huge_body(size_bytes: int, render: Render, send: Send) -> None:
    head, _, tail = render(Answer(message=_PLACE)).partition(_PLACE.encode())
    await send_headers(send, len(head) + size_bytes + len(tail))
    await send({"type": "http.response.body", "body": head, "more_body": True})
    for chunk in _filling(size_bytes):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": tail})


def _filling(size_bytes: int) -> Iterator[bytes]:
    """Yield the text in pieces: many huge answers at once must not fill our memory."""
    while size_bytes > 0:
        yield _FILLING[:size_bytes]
        size_bytes -= len(_FILLING)
