"""The arguments of a tool call: text that a model wrote, so anything at all."""

import re
from typing import Any

import orjson

from nemo_gym.wire.json_object import JsonObject

MAX_DEPTH = 64
"""Deeper nesting is refused: no tool wants it, and JSON libraries each have a limit of their own."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


class ToolArgumentsError(ValueError):
    """The arguments can't be used; the text says why, for the policy to read."""


def parse_tool_arguments(text: str) -> JsonObject:
    """Return the object that a tool call's `arguments` hold; empty text means no arguments.

    Raises:
        ToolArgumentsError: They aren't a JSON object, are nested deeper than 64 levels, or hold a number out of range.
            Nothing else is ever raised, whatever the model wrote.
    """
    try:
        arguments = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        raise ToolArgumentsError(f"the arguments are not valid JSON: {error}") from error
    except UnicodeEncodeError as error:
        raise ToolArgumentsError("the arguments are not valid JSON: half of a surrogate pair") from error
    if not isinstance(arguments, dict):
        raise ToolArgumentsError(f"the arguments must be a JSON object, not {_json_type(arguments)}")
    if _is_too_deep(text):
        raise ToolArgumentsError(f"the arguments are nested deeper than {MAX_DEPTH} levels")
    return arguments


def tool_arguments(text: str) -> JsonObject | None:
    """Return the object that a tool call's `arguments` hold, or None when they hold none; never raises."""
    try:
        return parse_tool_arguments(text)
    except ToolArgumentsError:
        return None


def _is_too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _json_type(value: Any) -> str:
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names[type(value)]
