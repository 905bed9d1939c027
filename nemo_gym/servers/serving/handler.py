"""The short path into a handler, which gets what it asks for: the request, a response to set cookies on, one body."""

import asyncio
import contextlib
import contextvars
import inspect
import threading
import typing
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Body
from msgspec import DecodeError
from pydantic import BaseModel, TypeAdapter, ValidationError

from nemo_gym.wire.raw_json import RawJson
from nemo_gym.wire.token_arrays import TokenArrayError

Source = type[Request] | type[Response] | type[RawJson[Any]] | TypeAdapter[Any]

MAX_THREADS = 40
_places: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = WeakKeyDictionary()


class Handler:
    """Calls one handler with what its parameters ask for; a plain `def` runs in a thread."""

    def __init__(self, handler: Callable[..., Any], sources: dict[str, Source]) -> None:
        self._handler = handler
        self._sources = sources
        self._is_async = inspect.iscoroutinefunction(handler)
        self.takes_response = Response in sources.values()

    @classmethod
    def of(cls, handler: Callable[..., Any]) -> "Handler | None":
        """Return the lean way into `handler`; None when it asks for more (query parameters, dependencies, forms)."""
        if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
            return None
        try:
            hints = typing.get_type_hints(inspect.unwrap(handler), include_extras=True)
        except (NameError, TypeError):  # a name only FastAPI's own reading finds, or a callable object
            return None
        parameters = inspect.signature(handler).parameters.values()
        sources = {parameter.name: _source(hints.get(parameter.name), parameter.default) for parameter in parameters}
        known = {name: source for name, source in sources.items() if source is not None}
        bodies = [source for source in known.values() if source not in (Request, Response)]
        return cls(handler, known) if len(known) == len(sources) and len(bodies) <= 1 else None

    async def __call__(self, request: Request, raw: bytes, response: Response | None) -> Any:
        """Validate `raw` into the body the handler wants, call it, and return what it returned.

        Raises:
            HandlerExit: It raised what ends a process or a task; the server goes on.
        """
        arguments: dict[str, Any] = {}
        for name, source in self._sources.items():
            if source is Request:
                arguments[name] = request
            elif source is Response:
                arguments[name] = response
            else:
                arguments[name] = _body(source, raw)
        try:
            return await self._call(arguments)
        except (SystemExit, KeyboardInterrupt) as error:
            raise HandlerExit(f"the handler raised {error!r}") from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise HandlerExit("the handler raised CancelledError") from error

    async def _call(self, arguments: dict[str, Any]) -> Any:
        if self._is_async:
            return await self._handler(**arguments)
        result = await _in_thread(lambda: self._handler(**arguments))
        return await result if inspect.isawaitable(result) else result


class HandlerExit(Exception):
    """A handler raised SystemExit, KeyboardInterrupt, or a CancelledError that nobody asked for."""


async def _in_thread(work: Callable[[], Any]) -> Any:
    """Run a blocking handler in a thread; abandoned at the deadline, it keeps its place among `MAX_THREADS`.

    A thread can't be stopped, but nobody has to wait for it. If its place were given to another, handlers that never
    end would take ever more threads.
    """
    loop = asyncio.get_running_loop()
    places = _places.setdefault(loop, asyncio.Semaphore(MAX_THREADS))
    await places.acquire()
    outcome: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def finish(result: Any, error: BaseException | None) -> None:
        places.release()
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)
        else:
            outcome.set_exception(RuntimeError(repr(error)) if isinstance(error, StopIteration) else error)

    def run() -> None:
        result, error = None, None
        try:
            result = context.run(work)
        except BaseException as raised:  # whatever it is, the caller gets it
            error = raised
        with contextlib.suppress(RuntimeError):  # the server has stopped meanwhile
            loop.call_soon_threadsafe(finish, result, error)

    # A daemon: a handler that never ends must not keep the process from ending.
    threading.Thread(target=run, name="handler", daemon=True).start()
    return await outcome


def _source(annotation: Any, default: Any) -> Source | None:
    kind, *marks = typing.get_args(annotation) if _is_annotated(annotation) else (annotation,)
    if not isinstance(kind, type):
        return None
    if issubclass(kind, Request):
        return Request
    if kind is Response:
        return Response
    marks = [mark for mark in (*marks, default) if mark is not inspect.Parameter.empty]
    whole = all(isinstance(mark, Body) and not mark.embed for mark in marks)
    if issubclass(kind, RawJson) and whole:
        return kind
    return TypeAdapter(typing.cast(Any, kind)) if issubclass(kind, BaseModel) and whole else None


def _is_annotated(annotation: Any) -> bool:
    return typing.get_origin(annotation) is typing.Annotated


def _body(source: Any, raw: bytes) -> Any:
    try:
        if isinstance(source, TypeAdapter):
            return source.validate_python(orjson.loads(raw) if raw else {})
        return source.json_checked(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise _invalid_json(error.msg, error.pos) from error
    except (DecodeError, RecursionError, TokenArrayError) as error:
        raise _invalid_json(str(error), 0) from error
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**d, "loc": ("body", *d["loc"])} for d in details]) from error


def _invalid_json(said: str, at: int) -> RequestValidationError:
    return RequestValidationError([{"type": "json_invalid", "loc": ("body", at), "msg": f"JSON decode error: {said}"}])
