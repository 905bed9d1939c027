"""The few ASGI messages the endpoint exchanges with the HTTP server."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

JSON_TYPE = b"application/json"


class ClientLeftError(Exception):
    """The client closed the connection before its request was whole."""


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
    """Send status and headers, promising a body of `size_bytes`."""
    fixed = [(b"content-type", media_type), (b"content-length", b"%d" % size_bytes)]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})


async def send_body(
    send: Send, body: bytes, *, status: int = 200, media_type: bytes = JSON_TYPE, headers: Headers = ()
) -> None:
    """Send a whole answer."""
    await send_headers(send, len(body), status=status, media_type=media_type, headers=headers)
    await send({"type": "http.response.body", "body": body})
