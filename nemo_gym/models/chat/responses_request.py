"""A chat request as a Responses request: the opposite of `request`."""

from collections.abc import Callable
from typing import Any

from nemo_gym.models.chat.errors import RequestConversionError, shown
from nemo_gym.models.chat.input_items import items_of_messages
from nemo_gym.models.chat.options import DEFAULT_OPTIONS, ChatOptions
from nemo_gym.models.chat.tools import responses_tool_choice, responses_tools


def to_responses_request(body: dict[str, Any], options: ChatOptions = DEFAULT_OPTIONS) -> dict[str, Any]:
    """Return the Responses create parameters that ask the same of the model.

    Args:
        body: Create parameters of the Chat Completions API, as decoded. They aren't changed; the result shares parts
            of them. A field that is None is left out. Sampling settings that only Chat has (`stop`, `seed`,
            `logit_bias`, the penalties) and fields that no API publishes are passed on.
        options: Of these, only `reasoning` counts: with "think_tags", blocks in the assistant's text become reasoning.

    Raises:
        RequestConversionError: Something that Responses can't express, or that isn't what the API says; with its path.
    """
    params: dict[str, Any] = {"input": items_of_messages(body.get("messages"), options)}
    text: dict[str, Any] = {}
    for name, value in body.items():
        if value is None or name == "messages":
            continue
        if name in _UNSUPPORTED:
            allowed, reason = _UNSUPPORTED[name]
            if value not in allowed:
                raise RequestConversionError(name, f"Responses has no such thing: {reason}")
        elif name == "response_format":
            text["format"] = _text_format(value)
        elif name == "verbosity":
            text["verbosity"] = value
        elif name in _CONVERT_BY_FIELD:
            _add(params, _CONVERT_BY_FIELD[name](value), name)
        else:
            _add(params, {name: value}, name)
    return {**params, "text": text} if text else params


def _add(params: dict[str, Any], fields: dict[str, Any], name: str) -> None:
    for key, value in fields.items():
        if params.setdefault(key, value) != value:
            raise RequestConversionError(name, f"contradicts another field of the request that also sets {key}")


def _text_format(wanted: Any) -> dict[str, Any]:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind in ("text", "json_object"):
        return dict(wanted)
    if kind != "json_schema" or not isinstance(wanted.get("json_schema"), dict):
        raise RequestConversionError("response_format", f"{shown(kind)} is none of: text, json_object, json_schema")
    return {"type": "json_schema", **wanted["json_schema"]}


_CONVERT_BY_FIELD: dict[str, Callable[[Any], dict[str, Any]]] = {
    "tools": lambda tools: {"tools": responses_tools(tools)},
    "tool_choice": lambda choice: {"tool_choice": responses_tool_choice(choice)},
    "max_completion_tokens": lambda limit: {"max_output_tokens": limit},
    "max_tokens": lambda limit: {"max_output_tokens": limit},
    "reasoning_effort": lambda effort: {"reasoning": {"effort": effort}},
    "logprobs": lambda wanted: {"include": ["message.output_text.logprobs"]} if wanted else {},
}

_UNSUPPORTED: dict[str, tuple[tuple[Any, ...], str]] = {
    "audio": ((), "it answers in text"),
    "function_call": ((), "use `tool_choice`"),
    "functions": (([],), "use `tools`"),
    "input": ((), "in the Chat API the conversation is `messages`"),
    "modalities": ((["text"],), "it answers in text"),
    "n": ((1,), "a Response is one answer; ask several times"),
    "prediction": ((), "it takes no predicted output"),
    "stream": ((False,), "the answer is converted in one piece"),
    "stream_options": ((), "the answer is converted in one piece"),
    "web_search_options": ((), "declare the endpoint's `web_search` tool in a Responses request"),
}
"""Field to the values that ask for nothing special, and why any other is refused."""
