"""The route class of all our servers: FastAPI's, which also knows whether its handler can be called without FastAPI."""

import inspect
from collections.abc import Callable
from typing import Any

from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute
from pydantic import BaseModel

from nemo_gym.servers.serving.handler import Handler

_SHAPING_OPTIONS = (
    "dependencies",
    "status_code",
    "response_model_include",
    "response_model_exclude",
    "response_model_exclude_unset",
    "response_model_exclude_defaults",
    "response_model_exclude_none",
)


class ServerRoute(APIRoute):
    """A route. What its handler returns is sent whole: the return annotation is for the documentation.

    Attributes:
        lean_handler: The way past FastAPI; None for a handler with query parameters, dependencies, forms, or a route
            with options that shape the response.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        is_shaped = any(options.get(name) for name in _SHAPING_OPTIONS) or _is_given(options.get("response_class"))
        has_model = _is_given(options.get("response_model"))
        self.lean_handler = None if is_shaped or has_model else Handler.of(endpoint)
        if self.lean_handler is None and not has_model:
            options = _documenting_only(endpoint, options)
        super().__init__(path, endpoint, **options)


def _documenting_only(endpoint: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return options by which FastAPI documents the return annotation and doesn't filter what is returned by it."""
    try:
        returned = inspect.signature(endpoint, eval_str=True).return_annotation
    except (NameError, TypeError, ValueError):
        return options
    if not (isinstance(returned, type) and issubclass(returned, BaseModel)):
        return options
    responses = {options.get("status_code") or 200: {"model": returned}, **(options.get("responses") or {})}
    return {**options, "response_model": None, "responses": responses}


def _is_given(option: Any) -> bool:
    return option is not None and not isinstance(option, DefaultPlaceholder)
