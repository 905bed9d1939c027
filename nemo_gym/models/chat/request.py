"""A Responses request as a chat request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nemo_gym.models.chat.errors import RequestConversionError, shown
from nemo_gym.models.chat.messages import MessageWriter
from nemo_gym.models.chat.options import DEFAULT_OPTIONS, ChatOptions
from nemo_gym.models.chat.token_data import MessageTokenData
from nemo_gym.models.chat.tools import chat_tool_choice, chat_tools

_LOGPROBS = "message.output_text.logprobs"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Create parameters for a chat endpoint, and beside them the token data of the calls that made the history.

    Attributes:
        body: The parameters, ready to be sent.
        token_data: Of each earlier call whose items carry it, oldest first; `message_index` counts in
            `body["messages"]`.
    """

    body: dict[str, Any]
    token_data: tuple[MessageTokenData, ...]


def to_chat_request(params: dict[str, Any], options: ChatOptions = DEFAULT_OPTIONS) -> ChatRequest:
    """Return the chat request that asks the same of the model.

    Args:
        params: Create parameters of the Responses API, as decoded. They aren't changed; the result shares parts of
            them. A field that is None is left out, and fields that the API doesn't publish (`stop`, `seed`, an
            engine's own) are passed on.
        options: What the endpoint wants.

    Raises:
        RequestConversionError: Something that Chat can't express, or that isn't what the API says; with its path.
    """
    writer = MessageWriter(options)
    _write_conversation(params, writer)
    body: dict[str, Any] = {"messages": writer.messages}
    passed_on: dict[str, Any] = {}
    for name, value in params.items():
        if value is None or name in _CONVERSATION:
            continue
        convert = _CONVERT_BY_FIELD.get(name)
        if convert is not None:
            body.update(convert(value, options))
        elif name not in _UNSUPPORTED:
            passed_on[name] = value
        elif value not in _UNSUPPORTED[name][0]:
            raise RequestConversionError(name, f"Chat has no such thing: {_UNSUPPORTED[name][1]}")
    for name in body.keys() & passed_on.keys():
        if body[name] != passed_on[name]:
            raise RequestConversionError(
                name, "contradicts the same setting under its Responses name; give one of them"
            )
    body.update(passed_on)
    _leave_out_what_needs_tools(body)
    return ChatRequest(body, tuple(writer.token_data))


_CONVERSATION = frozenset({"input", "instructions"})


def _write_conversation(params: dict[str, Any], writer: MessageWriter) -> None:
    instructions, given = params.get("instructions"), params.get("input")
    if instructions is not None:
        if not isinstance(instructions, str):
            raise RequestConversionError("instructions", f"should be text, not {type(instructions).__name__}")
        writer.messages.append({"role": "system", "content": instructions})
    if isinstance(given, str):
        writer.messages.append({"role": "user", "content": given})
    elif isinstance(given, list):
        writer.write(given)
    else:
        raise RequestConversionError("input", f"should be text or a list of items, not {type(given).__name__}")


def _leave_out_what_needs_tools(body: dict[str, Any]) -> None:
    """A Responses request may say these without tools; chat endpoints refuse them, and an empty list of tools."""
    if body.get("tools"):
        return
    body.pop("tools", None)
    body.pop("parallel_tool_calls", None)
    if body.get("tool_choice") in ("auto", "none"):
        del body["tool_choice"]


def _text(text: Any, options: ChatOptions) -> dict[str, Any]:
    body = {}
    for name, value in _object(text, "text").items():
        if value is None:
            continue
        if name == "verbosity":
            body["verbosity"] = value
        elif name == "format":
            body["response_format"] = _response_format(_object(value, "text.format"))
        else:
            raise RequestConversionError(f"text.{name}", "Chat has no such field")
    return body


def _response_format(wanted: dict[str, Any]) -> dict[str, Any]:
    kind = wanted.get("type")
    if kind == "json_schema":
        schema = {key: value for key, value in wanted.items() if key != "type" and value is not None}
        return {"type": "json_schema", "json_schema": schema}
    if kind in ("text", "json_object"):
        return wanted
    raise RequestConversionError("text.format.type", f"{shown(kind)} is none of: text, json_object, json_schema")


def _reasoning(reasoning: Any, options: ChatOptions) -> dict[str, Any]:
    body = {}
    for name, value in _object(reasoning, "reasoning").items():
        if name == "effort" and value is not None:
            body["reasoning_effort"] = value
        elif value is not None and (name, value) not in (("context", "auto"), ("mode", "standard")):
            raise RequestConversionError(f"reasoning.{name}", "Chat has no such setting, only `effort`")
    return body


def _include(include: Any, options: ChatOptions) -> dict[str, Any]:
    if not isinstance(include, list):
        raise RequestConversionError("include", f"should be a list, not {type(include).__name__}")
    for index, wanted in enumerate(include):
        if wanted != _LOGPROBS:
            raise RequestConversionError(f"include[{index}]", f"a Chat answer can't include {shown(wanted)}")
    return {"logprobs": True} if include else {}


def _top_logprobs(count: Any, options: ChatOptions) -> dict[str, Any]:
    # 0 is what every Response echoes. It asks for nothing, and Chat refuses it without `logprobs`.
    return {"top_logprobs": count, "logprobs": True} if count else {}


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RequestConversionError(path, f"should be an object, not {type(value).__name__}")
    return value


_CONVERT_BY_FIELD: dict[str, Callable[[Any, ChatOptions], dict[str, Any]]] = {
    "tools": lambda tools, options: {"tools": chat_tools(tools)},
    "tool_choice": lambda choice, options: {"tool_choice": chat_tool_choice(choice)},
    "max_output_tokens": lambda limit, options: {options.max_tokens_field: limit},
    "text": _text,
    "reasoning": _reasoning,
    "include": _include,
    "top_logprobs": _top_logprobs,
}
"""Fields that Chat writes otherwise. What is neither here nor below is the same in both, or is passed on."""

_UNSUPPORTED: dict[str, tuple[tuple[Any, ...], str]] = {
    "access_programs": ((), "access programs belong to the Responses API"),
    "background": ((False,), "it answers while the caller waits"),
    "background_options": ((), "it answers while the caller waits"),
    "context_management": (([],), "the whole conversation is sent"),
    "conversation": ((), "it stores no conversation; send its items in `input`"),
    "image": ((), "its image parts have a `detail`"),
    "max_tool_calls": ((), "it runs no tools itself"),
    "messages": ((), "in the Responses API the conversation is `input`"),
    "n": ((1,), "a Response is one answer; ask several times"),
    "previous_response_id": ((), "it stores no answers; send the earlier items in `input`"),
    "prompt": ((), "it stores no prompts; send their text"),
    "stream": ((False,), "the answer is converted in one piece"),
    "stream_options": ((), "the answer is converted in one piece"),
    "truncation": (("disabled",), "it never shortens a conversation; do so before you send it"),
}
"""Field to the values that ask for nothing special, and why any other is refused."""
