"""One request through one handler: read, validate, call with a deadline, answer; every error becomes an envelope.

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

from nemo_gym.servers.answer_body import encode_answer
from nemo_gym.servers.caller_watch import CallerWatch
from nemo_gym.servers.endpoint_policy import EndpointPolicy
from nemo_gym.servers.error_answer import error_answer
from nemo_gym.servers.handler import Handler
from nemo_gym.wire.failure import rollout_error


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
        caller = CallerWatch(receive)
        try:
            raw = await request.body()
            with caller:
                answer = await self._answer_or_failure(request, raw)
        except ClientDisconnect:
            return  # gone before its request was whole
        except asyncio.CancelledError:
            if not caller.gone:
                raise
            return  # the task was ours to end: nobody is left to answer
        await answer(scope, receive, send)

    async def _answer_or_failure(self, request: Request, raw: bytes) -> Response:
        side = _side_answer() if self._handler is not None and self._handler.takes_response else None
        try:
            answer = await self._guarded(request, raw, side)
            return answer if isinstance(answer, Response) else _json_answer(answer, side)
        except Exception as error:  # every error becomes an envelope here; CancelledError passes
            return error_answer(error, self._policy)

    async def _guarded(self, request: Request, raw: bytes, side: Response | None) -> Any:
        policy = self._policy
        deadline = asyncio.timeout(policy.timeout_s)
        try:
            async with deadline:
                if policy.around is not None:
                    answer = await policy.around(request, raw, lambda: self._invoke(request, raw, side))
                else:
                    answer = await self._invoke(request, raw, side)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            reason = f"no answer within {policy.timeout_s:g} s (setting {policy.timeout_setting})"
            raise rollout_error(policy.timeout_kind, reason, stage=policy.stage, server=policy.server_name) from error
        return policy.check_answer(answer) if policy.check_answer is not None else answer

    async def _invoke(self, request: Request, raw: bytes, side: Response | None) -> Any:
        if self._handler is None:
            return await self._fallback(request)
        return await self._handler(request, raw, side)


def _side_answer() -> Response:
    """Return what a handler gets as its `response: Response`: its headers and status go onto the real answer."""
    side = Response()
    del side.headers["content-length"]
    side.status_code = 200
    return side


def _json_answer(answer: Any, side: Response | None) -> Response:
    made = Response(encode_answer(answer), media_type="application/json")
    if side is not None:
        made.status_code = side.status_code
        made.raw_headers.extend(side.raw_headers)
    return made
