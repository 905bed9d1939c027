"""A request to a server in this process: the same ASGI app, called instead of connected to.

The app sees what it would see behind a socket, middleware and sessions included; the body is encoded and decoded at
this border as well, so that no two servers ever share an object. Cancelling the call cancels the handler.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from multidict import CIMultiDict
from starlette.types import ASGIApp, Message

from nemo_gym.servers.answer import Answer, cookie_header
from nemo_gym.servers.answer_body import encode_json
from nemo_gym.servers.transport import Deadline, bounded
from nemo_gym.wire.failure import rollout_error


async def request_in_memory(
    app: ASGIApp,
    method: str,
    url: str,
    *,
    server: str,
    json: Any = None,
    data: bytes | str | None = None,
    params: Mapping[str, str] | None = None,
    cookies: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    deadline: Deadline | None = None,
    replay_safe: bool = False,  # nothing is ever lost on this way
) -> Answer:
    """Send one request to `app` and return its answer; arguments as in `nemo_gym.servers.transport.request`.

    Raises:
        RolloutError: The deadline's kind; `transport_dropped` when the app ended without an answer.
    """
    body = encode_json(json) if json is not None else data.encode() if isinstance(data, str) else data or b""
    sent = CIMultiDict(headers or {})
    if json is not None:
        sent["content-type"] = "application/json"
    if cookies:
        sent["cookie"] = cookie_header(cookies)
    call = _InMemoryCall(app, method, url, sent, body, urlencode(params or {}), server)
    return await bounded(call.send(), deadline, server, method, url)


class _InMemoryCall:
    def __init__(
        self, app: ASGIApp, method: str, url: str, headers: CIMultiDict[str], body: bytes, query: str, server: str
    ) -> None:
        self._app = app
        self._method = method
        self._url = url
        self._server = server
        self._body = body
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": scheme,
            "path": slash + path,
            "raw_path": (slash + path).encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": _raw_headers(headers, host, len(body)),
            "client": ("127.0.0.1", 0),
            "server": (host.rpartition(":")[0], None),
            "state": {},
        }
        self._is_read = False
        self._status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._is_complete = False

    async def send(self) -> Answer:
        await self._app(self._scope, self._receive, self._take)
        if self._status is None or not self._is_complete:
            raise rollout_error(
                "transport_dropped",
                f"{self._server} ended {self._method} {self._url} without an answer",
                server=self._server,
                delivery="possibly_delivered",
            )
        headers: CIMultiDict[str] = CIMultiDict((k.decode("latin-1"), v.decode("latin-1")) for k, v in self._headers)
        return Answer(self._status, headers, b"".join(self._chunks), self._method, self._url, server=self._server)

    async def _receive(self) -> Message:
        if not self._is_read:
            self._is_read = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        # The caller cannot hang up: when it goes away it cancels this very task.
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable")

    async def _take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self._chunks.append(message.get("body", b""))
            self._is_complete = not message.get("more_body", False)


def _raw_headers(headers: CIMultiDict[str], host: str, length: int) -> list[tuple[bytes, bytes]]:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return [(b"host", host.encode()), (b"content-length", str(length).encode()), *raw]
