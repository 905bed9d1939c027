"""HTTP as the endpoint speaks it: the few ASGI messages it needs, and errors in OpenAI's form."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import orjson
from pydantic import ValidationError

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

JSON_TYPE = b"application/json"

# What the published API says for each code, so that clients which look at the code or the text recognize it.
_MESSAGES_BY_CODE = {
    "context_length_exceeded": "Your input exceeds the context window of this model.",
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing details.",
    "rate_limit_exceeded": "Rate limit reached for requests.",
    "invalid_api_key": "Incorrect API key provided.",
}
_DEFAULT_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_TYPES_BY_CODE = {"insufficient_quota": "insufficient_quota", "rate_limit_exceeded": "requests"}


class ClientLeftError(Exception):
    """The client closed the connection before its request was complete."""


class HangUpError(Exception):
    """The endpoint closes the connection on purpose."""


class RequestError(Exception):
    """A request the endpoint refuses; becomes an error answer with `status`, and with `body` instead of OpenAI's."""

    def __init__(
        self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None, body: bytes = b""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body or error_body(status, code=code, message=message, param=param)


def error_body(status: int, *, code: str | None = None, message: str | None = None, param: str | None = None) -> bytes:
    """Return the JSON body of an OpenAI error, `{"error": {message, type, param, code}}`.

    Args:
        status: HTTP status, 400..599; decides what is not given.
        code: Machine-readable code, e.g. `context_length_exceeded`. None: the usual one of the status, or null.
        message: Text for a person. None: the usual one of the code.
        param: The request parameter at fault. None: null.
    """
    code = code or _DEFAULT_CODES.get(status)
    kind = _TYPES_BY_CODE.get(code or "") or ("server_error" if status >= 500 else "invalid_request_error")
    text = message or _MESSAGES_BY_CODE.get(code or "") or f"Scripted failure with status {status}."
    return orjson.dumps({"error": {"message": text, "type": kind, "param": param, "code": code}})


def reasons(error: ValidationError) -> str:
    """Return what is wrong with each field, in one line."""
    return "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())


async def read_body(receive: Receive) -> bytes:
    """Return the whole request body.

    Raises:
        ClientLeftError: The connection was closed before the body ended.
    """
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


async def wait_until_client_leaves(receive: Receive) -> None:
    """Return when the connection is closed; call it only after the body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_headers(
    send: Send, size_bytes: int, *, status: int = 200, media_type: bytes = JSON_TYPE, headers: Headers = ()
) -> None:
    """Send status and headers, promising a body of `size_bytes`; returning without it closes the connection."""
    fixed = [(b"content-type", media_type), (b"content-length", b"%d" % size_bytes)]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})


async def send_body(
    send: Send, body: bytes, *, status: int = 200, media_type: bytes = JSON_TYPE, headers: Headers = ()
) -> None:
    """Send a whole answer."""
    await send_headers(send, len(body), status=status, media_type=media_type, headers=headers)
    await send({"type": "http.response.body", "body": body})
