"""One request through one handler: validate, call with a deadline, answer; every error becomes an envelope.

FastAPI keeps the routes and their OpenAPI pages. The call itself is ours, because it has to do what FastAPI's does not:
cancel the handler when the caller has gone, bound every handler in time, keep blocking handlers off the event loop,
and answer each error with one envelope.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from nemo_gym.servers.http.json_body import encode_result
from nemo_gym.servers.serving.disconnect import DisconnectWatcher
from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy
from nemo_gym.servers.serving.errors import error_response
from nemo_gym.servers.serving.handler import Handler
from nemo_gym.wire.failure import rollout_error
from nemo_gym.wire.token_arrays import Arrays, put_back_arrays, take_out_arrays


class Endpoint:
    """ASGI application for one handler.

    Args:
        handler: The lean way into the handler; None: it is called by `fallback`.
        policy: What holds for this endpoint.
        fallback: FastAPI's own handling, for handlers with query parameters, dependencies, forms.
    """

    def __init__(
        self,
        handler: Handler | None,
        policy: EndpointPolicy,
        fallback: Callable[[Request], Awaitable[Response]],
    ) -> None:
        self.is_lean = handler is not None
        self._handler = handler
        self._policy = policy
        self._fallback = fallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        caller = DisconnectWatcher(receive)
        try:
            raw = await request.body()
            with caller:
                answer = await self.answer(request, raw)
        except ClientDisconnect:
            return  # gone before its request was whole
        except asyncio.CancelledError:
            if not caller.gone:
                raise
            return  # the task was ours to end: nobody is left to answer
        await answer(scope, receive, send)

    async def answer(self, request: Request, raw: bytes) -> Response:
        """Return the answer to a request whose body is `raw`; what is raised in here is one too, save cancellation."""
        side = _side_answer() if self._handler is not None and self._handler.takes_response else None
        raw, arrays = take_out_arrays(raw) if self._policy.passes_token_arrays else (raw, {})
        try:
            answer = await self._within_bounds(request, raw, side)
            return answer if isinstance(answer, Response) else FramedJSONResponse.of(answer, side, arrays)
        except Exception as error:  # every error becomes an envelope here; CancelledError passes
            return error_response(error, self._policy)

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
            answer = await policy.wrap(request, raw, lambda: self._invoke(request, raw, side))
        else:
            answer = await self._invoke(request, raw, side)
        return policy.check_answer(answer) if policy.check_answer is not None else answer

    def _invoke(self, request: Request, raw: bytes, side: Response | None) -> Awaitable[Any]:
        return self._fallback(request) if self._handler is None else self._handler(request, raw, side)


class FramedJSONResponse(Response):
    """A Response whose headers need no thought."""

    media_type = "application/json"

    def init_headers(self, headers: Any = None) -> None:
        """Set the two headers of every JSON answer."""
        length = str(len(self.body)).encode()
        self.raw_headers = [(b"content-length", length), (b"content-type", b"application/json")]

    @classmethod
    def of(cls, answer: Any, side: Response | None, arrays: Arrays) -> "FramedJSONResponse":
        """Return what a handler returned, with the status and headers it set on its `response: Response`."""
        made = cls(put_back_arrays(encode_result(answer), arrays))
        if side is not None:
            made.status_code = side.status_code
            made.raw_headers.extend(side.raw_headers)
        return made


def _side_answer() -> Response:
    """Return what a handler gets as its `response: Response`: its headers and status go onto the real answer."""
    side = Response()
    del side.headers["content-length"]
    side.status_code = 200
    return side
