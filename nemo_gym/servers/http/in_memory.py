"""A request to a server in this process: the same ASGI app, called instead of connected to.

The app sees what it would see behind a socket, middleware and sessions included; the body is encoded and decoded at
this border as well, so that no two servers ever share an object. It takes what `transport.request` takes; what is only
about sockets (`ssl`, `proxy`, `compress`, …) changes nothing here.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from aiohttp import BasicAuth, ClientTimeout, FormData
from aiohttp.payload import PAYLOAD_REGISTRY, LookupError
from multidict import CIMultiDict
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope
from yarl import URL

from nemo_gym.servers.http.json_body import encode_json
from nemo_gym.servers.http.response import HttpResponse, cookie_header
from nemo_gym.servers.http.retry import TRANSPORT_LIMITS, TransportLimits
from nemo_gym.servers.http.transport import Deadline, too_late
from nemo_gym.wire.failure import RolloutError, rollout_error

RespondDirectly = Callable[[Scope, Receive, bytes], Awaitable[tuple[Response, list[tuple[bytes, bytes]]] | None]]

_log = logging.getLogger("nemo_gym.server")
_running: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly


class InMemoryRequest:
    """One request and its response, between a caller and an ASGI app on the same event loop.

    The app runs in a task of its own, as it does behind a socket: its context variables, a cancellation that it causes
    itself, and what it still does after its response are not the caller's. A caller that is cancelled cancels the app.

    Args:
        server: Name of the app in errors.
        max_answer_bytes: A longer response is refused, and the app cancelled.
        deadline: How long the response may take; None: no bound.
        log_errors: Log what the app raises; else the caller does.

    Attributes:
        error: What the app raised, also after it had responded.
        has_responded: It has begun to, by itself.
    """

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        body: bytes,
        server: str,
        max_answer_bytes: int = TRANSPORT_LIMITS.max_answer_bytes,
        deadline: Deadline | None = None,
        log_errors: bool = True,
    ) -> None:
        self.error: BaseException | None = None
        self._app = app
        self._scope = scope
        self._body: bytes | None = body
        self._server = server
        self._max_answer_bytes = max_answer_bytes
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._size_bytes = 0
        self._is_complete = False
        self.has_responded = False
        self._log_errors = log_errors

    async def response(self, method: str, url: str) -> HttpResponse:
        """Return the app's response.

        Raises:
            RolloutError: The deadline's kind; `transport_dropped` when the response is not whole, or too long.
        """
        task = self._loop.create_task(self._call())
        _running.add(task)
        task.add_done_callback(_running.discard)
        timer = self._loop.call_later(self._deadline.seconds, self._settle) if self._deadline is not None else None
        try:
            await self._over
        except asyncio.CancelledError:
            task.cancel("the caller is gone")
            raise
        finally:
            if timer is not None:
                timer.cancel()
        return self._whole_response(task, method, url)

    def _whole_response(self, task: asyncio.Task[None], method: str, url: str) -> HttpResponse:
        if self._size_bytes > self._max_answer_bytes:
            task.cancel("the response is too long")
            raise self._dropped(f"the answer of {self._server} is longer than {self._max_answer_bytes} bytes")
        if not self._is_complete and self._deadline is not None and not task.done():
            task.cancel("the caller waits no longer")
            raise too_late(self._deadline, self._server, method, url)
        if not self._is_complete:
            raise self._dropped(f"{self._server} ended in the middle of its answer to {method} {url}")
        headers: CIMultiDict[str] = CIMultiDict((k.decode("latin-1"), v.decode("latin-1")) for k, v in self._headers)
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        return HttpResponse(self._status or 500, headers, body, method, url, server=self._server)

    async def _call(self) -> None:
        try:
            # Only apps of our servers have it; to import their class here would load FastAPI into every command.
            respond_directly = getattr(self._app, "respond_directly", None)
            if respond_directly is None or not await self._call_directly(respond_directly):
                await self._app(self._scope, self._receive, self._take)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # an app must not end the process it shares
            self.error = error
            if self._log_errors and not self._is_complete:  # behind a socket uvicorn logs it, and responds
                _log.exception("%s failed at %s", self._server, self._scope["path"])
        finally:
            self._end()

    async def _call_directly(self, respond_directly: RespondDirectly) -> bool:
        responded = await respond_directly(self._scope, self._receive, self._body or b"")
        if responded is None:
            return False
        response, headers = responded
        if type(response).__call__ is Response.__call__:
            self._status, self._headers = response.status_code, headers
            self._add(bytes(response.body), is_last=True)
            if response.background is not None:
                await response.background()
        else:  # it is sent in pieces, or from a file
            response.raw_headers = headers
            await response(self._scope, self._receive, self._take)
        return True

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await asyncio.wait([self._over])
        return {"type": "http.disconnect"}

    async def _take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self.has_responded = message["status"], True
            self._headers = list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self._add(message.get("body", b""), is_last=not message.get("more_body", False))

    def _add(self, chunk: bytes, *, is_last: bool) -> None:
        self._size_bytes += len(chunk)
        if self._size_bytes > self._max_answer_bytes:
            self._chunks.clear()  # the app writes on until it notices that it is cancelled
            self._settle()
            return
        self._chunks.append(chunk)
        self._is_complete = is_last
        if is_last:
            self._settle()

    def _end(self) -> None:
        if self._status is None:
            self._status, self._headers = 500, [(b"content-type", b"text/plain; charset=utf-8")]
            self._chunks, self._is_complete = [b"Internal Server Error"], True
        self._settle()

    def _settle(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _dropped(self, reason: str) -> RolloutError:
        return rollout_error("transport_dropped", reason, server=self._server, delivery="possibly_delivered")


async def request_in_memory(
    app: ASGIApp,
    method: str,
    url: str,
    *,
    server: str,
    json: Any = None,
    data: Any = None,
    params: Any = None,
    cookies: Mapping[str, Any] | None = None,
    headers: Any = None,
    timeout: ClientTimeout | float | None = None,
    deadline: Deadline | None = None,
    limits: TransportLimits = TRANSPORT_LIMITS,
    auth: BasicAuth | None = None,
    **_about_a_wire: Any,
) -> HttpResponse:
    """Send one request to `app` and return its answer; arguments as in `nemo_gym.servers.transport.request`.

    Raises:
        RolloutError: The deadline's kind; `transport_timeout` (aiohttp's own `timeout`); `transport_dropped` when the
            app ended in the middle of its answer, or that is longer than the limit.
    """
    sent: CIMultiDict[str] = CIMultiDict(headers or {})
    if cookies:
        sent["cookie"] = cookie_header(cookies)
    if auth is not None:
        sent["authorization"] = auth.encode()
    if json is not None:
        body = encode_json(json)
        sent["content-type"] = "application/json"
    else:
        body = b"" if data is None else await _encoded(data, sent)
    scope = _scope(method, url, params, sent, len(body))
    call = InMemoryRequest(app, scope, body, server, limits.max_answer_bytes, _tighter(deadline, timeout))
    return await call.response(method, url)


def _tighter(deadline: Deadline | None, timeout: ClientTimeout | float | None) -> Deadline | None:
    """Return the one bound of a call: ours, or aiohttp's `timeout`. There is no socket to connect or to wait for."""
    if timeout is None:
        return deadline
    given = (timeout,) if isinstance(timeout, int | float) else (timeout.total, timeout.sock_read)
    seconds = min((bound for bound in given if bound), default=None)
    if seconds is None or (deadline is not None and deadline.seconds <= seconds):
        return deadline
    return Deadline(seconds, "the caller's `timeout`")


async def _encoded(data: Any, headers: CIMultiDict[str]) -> bytes:
    """Return aiohttp's form of `data` (text, bytes, forms, files, …); its headers are added where there are none."""
    try:
        payload = PAYLOAD_REGISTRY.get(data() if isinstance(data, FormData) else data, disposition=None)
    except LookupError:
        payload = FormData(data)()
    for name, value in (payload.headers or {}).items():
        headers.setdefault(name, value)
    return await payload.as_bytes()


def _scope(method: str, url: str, params: Any, headers: CIMultiDict[str], length: int) -> Scope:
    return {
        **_address(str(URL(url).extend_query(params)) if params else url),
        "method": method.upper(),
        "headers": [
            (b"host", url.partition("://")[2].partition("/")[0].encode()),
            (b"content-length", str(length).encode()),
            *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()),
        ],
        "state": {},
    }


@lru_cache(maxsize=1024)
def _address(url: str) -> Scope:
    parsed = URL(url)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": parsed.scheme,
        "path": unquote(parsed.raw_path),
        "raw_path": parsed.raw_path.encode(),
        "query_string": parsed.raw_query_string.encode(),
        "root_path": "",
        "client": ("127.0.0.1", 0),
        "server": (parsed.host, parsed.port),
    }
