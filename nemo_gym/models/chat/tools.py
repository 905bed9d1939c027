"""Declared tools and the choice between them, in both directions: Chat nests what Responses writes flat."""

from typing import Any

from nemo_gym.models.chat.errors import RequestConversionError, shown

Tool = dict[str, Any]

# Published fields of a Responses tool that Chat has no words for.
_RESPONSES_ONLY = ("allowed_callers", "async", "defer_loading", "output_schema")
_NAMED_KINDS = ("function", "custom")


def chat_tools(tools: Any) -> list[Tool]:
    """Return the `tools` of a Responses request as those of a chat request.

    Raises:
        RequestConversionError: A built-in tool (`web_search`, `mcp`, ...), which only a Responses endpoint runs.
    """
    return [_chat_tool(tool, f"tools[{index}]") for index, tool in enumerate(_list(tools, "tools"))]


def _chat_tool(tool: Any, path: str) -> Tool:
    kind = _kind(tool, path)
    for key in _RESPONSES_ONLY:
        if tool.get(key):
            raise RequestConversionError(f"{path}.{key}", "Chat has no such field of a tool")
    fields = {
        key: value for key, value in tool.items() if key != "type" and key not in _RESPONSES_ONLY and value is not None
    }
    if kind == "custom" and isinstance(grammar := fields.get("format"), dict) and grammar.get("type") == "grammar":
        fields["format"] = {"type": "grammar", "grammar": {key: grammar[key] for key in grammar if key != "type"}}
    return {"type": kind, kind: fields}


def responses_tools(tools: Any) -> list[Tool]:
    """Return the `tools` of a chat request as those of a Responses request. Raises as `chat_tools` does."""
    return [_responses_tool(tool, f"tools[{index}]") for index, tool in enumerate(_list(tools, "tools"))]


def _responses_tool(tool: Any, path: str) -> Tool:
    kind = _kind(tool, path)
    nested = tool.get(kind)
    if not isinstance(nested, dict):
        raise RequestConversionError(f"{path}.{kind}", f"should be an object, not {type(nested).__name__}")
    # A Responses function must say both.
    required = {"parameters": None, "strict": None} if kind == "function" else {}
    fields = {**required, **nested}
    if kind == "custom" and isinstance(shape := fields.get("format"), dict) and isinstance(shape.get("grammar"), dict):
        fields["format"] = {"type": "grammar", **shape["grammar"]}
    return {"type": kind, **fields, **{key: value for key, value in tool.items() if key not in ("type", kind)}}


def chat_tool_choice(choice: Any) -> Any:
    """Return a Responses `tool_choice` as chat's. Raises RequestConversionError for the choice of a built-in tool."""
    if isinstance(choice, str):
        return choice
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        tools = _list(choice.get("tools"), "tool_choice.tools")
        named = [_chat_name(tool, f"tool_choice.tools[{index}]") for index, tool in enumerate(tools)]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.get("mode", "auto"), "tools": named}}
    return _chat_name(choice, "tool_choice")


def _chat_name(choice: Any, path: str) -> Tool:
    kind = _kind(choice, path)
    return {"type": kind, kind: {"name": choice.get("name")}}


def responses_tool_choice(choice: Any) -> Any:
    """Return a chat `tool_choice` as Responses'. Raises RequestConversionError for an unknown form."""
    if isinstance(choice, str):
        return choice
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools")
        if not isinstance(allowed, dict):
            raise RequestConversionError("tool_choice.allowed_tools", "should be an object with `mode` and `tools`")
        tools = _list(allowed.get("tools"), "tool_choice.allowed_tools.tools")
        named = [_responses_name(tool, f"tool_choice.allowed_tools.tools[{index}]") for index, tool in enumerate(tools)]
        return {"type": "allowed_tools", "mode": allowed.get("mode", "auto"), "tools": named}
    return _responses_name(choice, "tool_choice")


def _responses_name(choice: Any, path: str) -> Tool:
    kind = _kind(choice, path)
    nested = choice.get(kind)
    if not isinstance(nested, dict):
        raise RequestConversionError(f"{path}.{kind}", "should be an object with a `name`")
    return {"type": kind, "name": nested.get("name")}


def _kind(tool: Any, path: str) -> str:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if kind not in _NAMED_KINDS:
        raise RequestConversionError(
            path, f"a tool of type {shown(kind)} can't be converted; function and custom tools can"
        )
    return str(kind)


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise RequestConversionError(path, f"should be a list, not {type(value).__name__}")
    return value
