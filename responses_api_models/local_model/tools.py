"""Declared tools and the request's word on them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nemo_gym.wire.json_object import JsonObject
from responses_api_models.local_model.llama.generation import RefusedRequestError

_MODES = ("auto", "none", "required")


@dataclass(frozen=True)
class Tool:
    """A declared function. `parameters`: the JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class ToolChoice:
    """The tools that may be called now, and whether one must be. No tools: the answer is a message."""

    mode: Literal["auto", "required"]
    tools: Sequence[Tool]


def declared_tools(tools: Iterable[Mapping[str, Any]] | None) -> list[Tool]:
    """Return the functions among the tools of a chat request; other kinds are left out."""
    functions = (tool["function"] for tool in tools or () if tool.get("type") == "function")
    return [
        Tool(function["name"], function.get("description") or "", function.get("parameters") or {"type": "object"})
        for function in functions
    ]


def tool_choice(tools: Sequence[Tool], wanted: str | Mapping[str, Any] | None) -> ToolChoice:
    """Return what `tool_choice` of a request means for its tools.

    Args:
        tools: The declared tools.
        wanted: "auto" (also None), "none", "required", or an object that names one function.

    Raises:
        RefusedRequestError: `wanted` is none of these, names an undeclared tool, or requires one where there is none.
    """
    if isinstance(wanted, Mapping):
        return ToolChoice("required", [_named(tools, wanted)])
    if wanted is not None and wanted not in _MODES:
        raise RefusedRequestError(f"tool_choice {wanted!r} is not known; known: {', '.join(_MODES)}, a named function")
    if wanted == "required" and not tools:
        raise RefusedRequestError("tool_choice is 'required', but no function is declared in tools")
    return ToolChoice("required" if wanted == "required" else "auto", [] if wanted == "none" else tools)


def call_schema(tool: Tool) -> JsonObject:
    """Return the JSON schema of a call: `{"name": <this tool>, "arguments": <its parameters>}`."""
    arguments = {key: value for key, value in tool.parameters.items() if key not in ("$defs", "definitions")}
    # References inside the parameters count from the root of the schema, so what they refer to moves there.
    moved = {key: tool.parameters[key] for key in ("$defs", "definitions") if key in tool.parameters}
    return {
        **moved,
        "type": "object",
        "properties": {"name": {"const": tool.name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _named(tools: Sequence[Tool], wanted: Mapping[str, Any]) -> Tool:
    name = (wanted.get("function") or {}).get("name")
    for tool in tools:
        if wanted.get("type") == "function" and tool.name == name:
            return tool
    known = ", ".join(tool.name for tool in tools) or "none"
    raise RefusedRequestError(f"tool_choice {dict(wanted)!r} names no declared function; known: {known}")
