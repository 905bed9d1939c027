"""Faults as they look on the wire.

A connection is broken by returning before the promised body is complete: the HTTP server then closes it.
"""

from collections.abc import Callable, Iterator

import orjson

from responses_api_models.scripted_model.answer import Answer
from responses_api_models.scripted_model.asgi import (
    Receive,
    Send,
    send_body,
    send_headers,
    wait_until_client_leaves,
)
from responses_api_models.scripted_model.fault import HugeBodyFault, StatusFault, WireFault
from responses_api_models.scripted_model.openai_error import error_body

_HTML = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>\n"
_OTHER_JSON = orjson.dumps({"jobs": [{"id": 7, "state": "running"}], "next": None})
_FILLING = b"x" * 1_000_000
_PLACE = "\u2402filling\u2402"  # where the huge text goes; no ordinary body contains it

Render = Callable[[Answer], bytes]


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


async def _send_status(fault: StatusFault, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fault.headers.items()]
    if isinstance(fault.body, str):
        body, media_type = fault.body.encode(), b"text/plain; charset=utf-8"
    elif fault.body is not None:
        body, media_type = orjson.dumps(fault.body), b"application/json"
    else:
        body, media_type = error_body(fault.status, code=fault.code, message=fault.message), b"application/json"
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
