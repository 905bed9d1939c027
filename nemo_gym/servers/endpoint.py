"""One request through one handler: read, validate, call with a deadline, answer; every error becomes an envelope.

FastAPI keeps the routes and their OpenAPI pages. The call itself is ours, because it has to do what FastAPI's does not:
cancel the handler when the caller has gone, bound every handler in time, keep blocking handlers off the event loop,
and answer each error with one envelope.
"""

import asyncio
import inspect
import logging
import secrets
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import orjson
from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Body as BodyParam
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send

from nemo_gym.servers.answer_body import encode_answer
from nemo_gym.wire.failure import Failure, Origin, RolloutError, Stage, failure_body, rollout_error

WATCH_CALLER_AFTER_S = 0.5
"""A handler that runs longer than this is cancelled when its caller goes away; shorter ones are not worth a watcher."""

_log = logging.getLogger("nemo_gym.server")

Invoke = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class EndpointPolicy:
    """What holds for one endpoint: the failures it can cause, its deadline, and what goes around the handler."""

    server_name: str
    error_kind: str = "agent_error"
    stage: Stage | None = None
    timeout_s: float | None = None
    timeout_setting: str = ""
    timeout_kind: str = "agent_timeout"
    around: Callable[[Request, bytes, Invoke], Awaitable[Any]] | None = None
    check_answer: Callable[[Any], Any] | None = None


class Endpoint:
    """ASGI application for one handler.

    The lean way serves handlers that take a `Request`, one body, both, or nothing; other signatures (query
    parameters, dependencies) go through `fallback`, FastAPI's own handling.
    """

    def __init__(
        self,
        handler: Callable[..., Any],
        policy: EndpointPolicy,
        fallback: Callable[[Request], Awaitable[Response]],
    ) -> None:
        self._handler = handler
        self._policy = policy
        self._fallback = fallback
        self._arguments = _lean_arguments(handler)
        self._is_async = inspect.iscoroutinefunction(handler)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        caller = _CallerWatch(receive)
        try:
            raw = await request.body()
            with caller:
                status, answer = await self._answer_or_failure(request, raw)
        except asyncio.CancelledError:
            if not caller.gone:
                raise
            return  # the task was ours to end: nobody is left to answer
        if isinstance(answer, Response):
            await answer(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _answer_or_failure(self, request: Request, raw: bytes) -> tuple[int, bytes | Response]:
        try:
            answer = await self._guarded(request, raw)
            return 200, answer if isinstance(answer, Response) else encode_answer(answer)
        except Exception as error:  # every error becomes an envelope here; CancelledError passes
            return _error_answer(error, self._policy)

    async def _guarded(self, request: Request, raw: bytes) -> Any:
        policy = self._policy
        deadline = asyncio.timeout(policy.timeout_s)
        try:
            async with deadline:
                if policy.around is not None:
                    answer = await policy.around(request, raw, lambda: self._invoke(request, raw))
                else:
                    answer = await self._invoke(request, raw)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            reason = f"no answer within {policy.timeout_s:g} s (setting {policy.timeout_setting})"
            raise rollout_error(policy.timeout_kind, reason, stage=policy.stage, server=policy.server_name) from error
        return policy.check_answer(answer) if policy.check_answer is not None else answer

    async def _invoke(self, request: Request, raw: bytes) -> Any:
        if self._arguments is None:
            return await self._fallback(request)
        arguments: dict[str, Any] = {}
        for name, adapter in self._arguments.items():
            arguments[name] = request if adapter is None else _validate(adapter, raw)
        if self._is_async:
            return await self._handler(**arguments)
        # Abandoned at the deadline: a thread cannot be stopped, but nobody has to wait for it.
        return await anyio.to_thread.run_sync(lambda: self._handler(**arguments), abandon_on_cancel=True)


def _lean_arguments(handler: Callable[..., Any]) -> dict[str, TypeAdapter[Any] | None] | None:
    """Return for each parameter its body adapter, or None for the request; None when FastAPI must resolve them."""
    hints = typing.get_type_hints(inspect.unwrap(handler))
    arguments: dict[str, TypeAdapter[Any] | None] = {}
    for name, parameter in inspect.signature(handler).parameters.items():
        kind = hints.get(name)
        if isinstance(kind, type) and issubclass(kind, Request):
            arguments[name] = None
        elif _is_whole_body(kind, parameter.default):
            arguments[name] = TypeAdapter(typing.cast(Any, kind))
        else:
            return None
    bodies = [adapter for adapter in arguments.values() if adapter is not None]
    return arguments if len(bodies) <= 1 else None


def _is_whole_body(kind: Any, default: Any) -> bool:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return False
    return default is inspect.Parameter.empty or (isinstance(default, BodyParam) and not default.embed)


def _validate(adapter: TypeAdapter[Any], raw: bytes) -> Any:
    try:
        data = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as error:
        detail = {"type": "json_invalid", "loc": ("body", error.pos), "msg": f"JSON decode error: {error.msg}"}
        raise RequestValidationError([detail]) from error
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise RequestValidationError([{**d, "loc": ("body", *d["loc"])} for d in details]) from error


def _error_answer(error: Exception, policy: EndpointPolicy) -> tuple[int, bytes]:
    detail: Any = None
    match error:
        case RolloutError():
            failure = error.failure
        case RequestValidationError():
            detail = [{key: d[key] for key in ("type", "loc", "msg")} for d in error.errors()]
            reason = "; ".join(f"{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in detail)
            failure = rollout_error("input_invalid", reason).failure
        case HTTPException():
            detail = error.detail
            failure = _http_exception_failure(error, policy)
        case _:
            failure = _unexpected(error, policy)
    status = error.status_code if isinstance(error, HTTPException) else failure.status
    named = failure.model_copy(
        update={
            "stage": failure.stage or policy.stage,
            "origin": failure.origin or Origin(server=policy.server_name, status=status),
        }
    )
    trajectory = error.trajectory if isinstance(error, RolloutError) else None
    return status, orjson.dumps(failure_body(named, detail=detail, trajectory=trajectory), default=str)


def _http_exception_failure(error: HTTPException, policy: EndpointPolicy) -> Failure:
    kind = "session_lost" if error.status_code == 409 else policy.error_kind
    if error.status_code in (400, 404, 422):
        kind = "input_invalid"
    return rollout_error(kind, str(error.detail)).failure


def _unexpected(error: Exception, policy: EndpointPolicy) -> Failure:
    request_id = secrets.token_hex(6)
    # The text of an exception may hold secrets or hints at the reward: it stays in the log.
    _log.error("request %s failed", request_id, exc_info=error)
    reason = f"{type(error).__name__} in {policy.server_name}; its log has the traceback under request {request_id}"
    return rollout_error(policy.error_kind, reason).failure.model_copy(update={"request_id": request_id})


class _CallerWatch:
    """Cancels the current task when the caller closes its connection while the handler runs."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCH_CALLER_AFTER_S, self._start)

    def _start(self) -> None:
        self._watcher = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._task is not None:
            self._task.cancel("the caller closed its connection")

    def __exit__(self, *exc_info: object) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
