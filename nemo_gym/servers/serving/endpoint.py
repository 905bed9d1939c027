"""One request through one handler: validate, call with a deadline, respond; every error becomes an envelope.

FastAPI keeps the routes and their OpenAPI pages. Around the handler stands what FastAPI does not do: cancel it when the
caller has gone, bound it in time, keep it inside its session, and respond to each error with one envelope.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.servers.http.asgi_call import AsgiCall
from nemo_gym.servers.http.disconnect import DisconnectWatcher
from nemo_gym.servers.http.json_body import encode_result
from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy
from nemo_gym.servers.serving.errors import FailureResponse
from nemo_gym.servers.serving.handler import Handler, HandlerExit
from nemo_gym.servers.serving.metrics.counts import CANCELLED, OK, RouteCounts
from nemo_gym.wire.failure import RolloutError, rollout_error
from nemo_gym.wire.token_arrays import Arrays, put_back_arrays, take_out_arrays

_FORESEEN = (HTTPException, RequestValidationError, RolloutError)
_TESTED_EXTENSION = "http.response.debug"  # of Starlette's TestClient, which expects exceptions to reach the test


class Endpoint:
    """ASGI application for one handler.

    Args:
        policy: The rules of this endpoint.
        app: Has the author's exception handlers.
        counts: Get every request.
        handler: The lean way into the handler.
        framework: FastAPI's way to it, where there is no lean one.
    """

    def __init__(
        self,
        policy: EndpointPolicy,
        app: FastAPI,
        counts: RouteCounts,
        *,
        handler: Handler | None = None,
        framework: ASGIApp | None = None,
    ) -> None:
        self._policy = policy
        self._app = app
        self._counts = counts
        self._handler = handler
        self._framework = framework

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        watcher = DisconnectWatcher(receive)
        try:
            raw = await request.body()
            with watcher:
                response = await self.respond(request, raw)
        except ClientDisconnect:
            return  # gone before its request was whole
        except asyncio.CancelledError:
            if not watcher.gone:
                raise
            return  # the task was ours to end: nobody is left to respond to
        await response(scope, receive, send)
        error = scope.get("nemo_gym.error")
        if error is not None and _TESTED_EXTENSION in (scope.get("extensions") or {}):
            raise error

    async def respond(self, request: Request, raw: bytes) -> Response:
        """Return the response to a request whose body is `raw`; whatever is raised, save cancellation, is one too."""
        began_at, outcome = self._counts.begin(), CANCELLED
        try:
            response = await self._response(request, raw)
            outcome = _outcome_of(response)
            return response
        finally:
            self._counts.end(began_at, outcome)

    async def _response(self, request: Request, raw: bytes) -> Response:
        side = _side_response() if self._handler is not None and self._handler.takes_response else None
        raw, arrays = take_out_arrays(raw) if self._policy.passes_token_arrays else (raw, {})
        try:
            result = await self._within_bounds(request, raw, side)
            return result if isinstance(result, Response) else FramedJSONResponse.of(result, side, arrays)
        except Exception as error:  # every error becomes a response here; CancelledError passes
            return await self._error_response(request, error)

    async def _error_response(self, request: Request, error: Exception) -> Response:
        """Return what the author's, or our own, exception handler makes of an error."""
        handlers = self._app.exception_handlers
        handle = _handler_for(handlers, error)
        if handle is handlers.get(Exception) and not isinstance(error, _FORESEEN):
            request.scope["nemo_gym.error"] = error
        made = (
            handle(request, error) if inspect.iscoroutinefunction(handle) else run_in_threadpool(handle, request, error)
        )
        response: Response = await made
        return response

    async def _within_bounds(self, request: Request, raw: bytes, side: Response | None) -> Any:
        policy = self._policy
        if policy.timeout_s is None:
            return await self._call(request, raw, side)
        deadline = asyncio.timeout(policy.timeout_s)
        try:
            async with deadline:
                return await self._call(request, raw, side)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            reason = f"no answer within {policy.timeout_s:g} s (setting {policy.timeout_setting})"
            raise rollout_error(policy.timeout_kind, reason, stage=policy.stage, server=policy.server_name) from error

    async def _call(self, request: Request, raw: bytes, side: Response | None) -> Any:
        policy = self._policy
        if policy.wrap is not None:
            result = await policy.wrap(request, raw, lambda: self._invoke(request, raw, side))
        else:
            result = await self._invoke(request, raw, side)
        if policy.check_result is None or (isinstance(result, Response) and result.status_code >= 400):
            return result
        return policy.check_result(result)

    def _invoke(self, request: Request, raw: bytes, side: Response | None) -> Awaitable[Any]:
        if self._handler is not None:
            return self._handler(request, raw, side)
        return self._through_framework(request.scope, raw)

    async def _through_framework(self, scope: Scope, raw: bytes) -> Response:
        assert self._framework is not None
        call = AsgiCall(self._framework, scope, raw, self._policy.server_name, log_errors=False)
        made = await call.response(scope["method"], scope["path"])
        if call.error is not None and not call.has_responded:
            raise call.error if isinstance(call.error, Exception) else HandlerExit(repr(call.error)) from call.error
        response = Response(made.body, made.status)
        response.raw_headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in made.headers.items()]
        return response


class FramedJSONResponse(Response):
    """A Response whose headers need no thought."""

    media_type = "application/json"

    def init_headers(self, headers: Any = None) -> None:
        """Set the two headers of every JSON response."""
        length = str(len(self.body)).encode()
        self.raw_headers = [(b"content-length", length), (b"content-type", b"application/json")]

    @classmethod
    def of(cls, result: Any, side: Response | None, arrays: Arrays) -> "FramedJSONResponse":
        """Return what a handler returned, with the status and headers it set on its `response: Response`."""
        made = cls(put_back_arrays(encode_result(result), arrays))
        if side is not None:
            made.status_code = side.status_code
            made.raw_headers.extend(side.raw_headers)
        return made


def _outcome_of(response: Response) -> str:
    """Return what a request came to, as metrics name it."""
    if response.status_code < 400:
        return OK
    return response.kind if isinstance(response, FailureResponse) else f"http_{response.status_code}"


def _handler_for(handlers: Mapping[Any, Any], error: Exception) -> Any:
    """Return the exception handler that FastAPI would take: by status, else by the nearest class."""
    by_status = handlers.get(error.status_code) if isinstance(error, HTTPException) else None
    return by_status or next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)


def _side_response() -> Response:
    """Return what a handler gets as its `response: Response`: its headers and status go onto the real response."""
    side = Response()
    del side.headers["content-length"]
    side.status_code = 200
    return side
