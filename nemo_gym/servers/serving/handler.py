"""The lean way into a handler: it gets the request, an answer to set cookies on, and one body, as it asks for them."""

import inspect
import typing
from collections.abc import Callable
from typing import Any

import anyio.to_thread
import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Body
from msgspec import DecodeError
from pydantic import BaseModel, TypeAdapter, ValidationError

from nemo_gym.wire.raw_json import RawJson

Source = type[Request] | type[Response] | type[RawJson[Any]] | TypeAdapter[Any]


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
        """Validate `raw` into the body the handler wants, call it, and return what it returned."""
        arguments: dict[str, Any] = {}
        for name, source in self._sources.items():
            if source is Request:
                arguments[name] = request
            elif source is Response:
                arguments[name] = response
            else:
                arguments[name] = _body(source, raw)
        if self._is_async:
            return await self._handler(**arguments)
        # Abandoned at the deadline: a thread cannot be stopped, but nobody has to wait for it.
        answer = await anyio.to_thread.run_sync(lambda: self._handler(**arguments), abandon_on_cancel=True)
        return await answer if inspect.isawaitable(answer) else answer


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
        raise _no_json(error.msg, error.pos) from error
    except DecodeError as error:
        raise _no_json(str(error), 0) from error
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**d, "loc": ("body", *d["loc"])} for d in details]) from error


def _no_json(said: str, at: int) -> RequestValidationError:
    return RequestValidationError([{"type": "json_invalid", "loc": ("body", at), "msg": f"JSON decode error: {said}"}])
