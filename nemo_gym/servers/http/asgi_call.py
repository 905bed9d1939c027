"""One request to an ASGI app of this process, and its whole response, as if a socket were between the two."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from multidict import CIMultiDict
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope

from nemo_gym.servers.http.response import HttpResponse
from nemo_gym.servers.http.retry import TRANSPORT_LIMITS
from nemo_gym.servers.http.transport import Deadline, too_late
from nemo_gym.wire.failure import RolloutError, rollout_error

RespondDirectly = Callable[[Scope, Receive, bytes], Awaitable[tuple[Response, list[tuple[bytes, bytes]]] | None]]

_log = logging.getLogger("nemo_gym.server")
_running: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly


class AsgiCall:
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
