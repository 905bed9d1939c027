"""Chat messages as items of a Responses `input`: the opposite of `messages`."""

from collections.abc import Iterable
from typing import Any

from nemo_gym.models.chat.content import responses_content
from nemo_gym.models.chat.errors import RequestConversionError, shown
from nemo_gym.models.chat.options import ChatOptions
from nemo_gym.models.chat.think import split_thoughts
from nemo_gym.models.chat.token_data import CALL_FIELDS, attach_token_data, token_data_of

Message = dict[str, Any]
Item = dict[str, Any]

_KEYS = frozenset({"role", "content"})
_TOOL_KEYS = _KEYS | {"tool_call_id"}
_REASONING_FIELDS = ("reasoning_content", "reasoning")
# What a copy of an earlier answer carries beside its content; `annotations` describe it and aren't part of the prompt.
_ASSISTANT_KEYS = _KEYS | CALL_FIELDS | {"tool_calls", "refusal", "annotations", *_REASONING_FIELDS}
_CALL_KEYS = frozenset({"id", "type", "function", "custom", "index"})


class ItemWriter:
    """Writes chat messages, oldest first, into `items`.

    Reasoning items need an id, and Chat has none: it is made from the position, so that the same conversation
    always gives the same ids.
    """

    def __init__(self, options: ChatOptions) -> None:
        self.items: list[Item] = []
        self._options = options
        self._custom_calls: set[str] = set()

    def write(self, messages: Iterable[Any]) -> None:
        """Write all messages.

        Raises:
            RequestConversionError: A message that Responses can't express, or that lacks what its role needs.
        """
        for index, message in enumerate(messages):
            try:
                self._write_message(message)
            except RequestConversionError as error:
                raise error.under(f"messages[{index}]") from None

    def _write_message(self, message: Any) -> None:
        role = message.get("role") if isinstance(message, dict) else None
        if role == "assistant":
            self._assistant(message)
        elif role == "tool":
            self._tool_result(message)
        elif role in ("user", "system", "developer"):
            content = responses_content(message.get("content"), str(role))
            self.items.append({**_extras(message, _KEYS), "type": "message", "role": role, "content": content})
        else:
            raise RequestConversionError("role", f"{shown(role)} is none of: user, assistant, system, developer, tool")

    def _tool_result(self, message: Message) -> None:
        call_id = _text(message, "tool_call_id")
        kind = "custom_tool_call_output" if call_id in self._custom_calls else "function_call_output"
        output = responses_content(message.get("content"), "tool")
        self.items.append({**_extras(message, _TOOL_KEYS), "type": kind, "call_id": call_id, "output": output})

    def _assistant(self, message: Message) -> None:
        thoughts, text = self._thoughts_and_text(message)
        made: list[Item] = []
        if thoughts:
            summary = [{"type": "summary_text", "text": thought} for thought in thoughts]
            made.append({"type": "reasoning", "id": f"rs_{len(self.items)}", "summary": summary})
        given = message.get("tool_calls") or []
        if not isinstance(given, list):
            raise RequestConversionError("tool_calls", f"should be a list, not {type(given).__name__}")
        calls = [self._call(call, f"tool_calls[{index}]") for index, call in enumerate(given)]
        content = _with_refusal(text, None if message.get("refusal") is None else _text(message, "refusal"))
        if content is not None or not (made or calls):
            made.append({"type": "message", "role": "assistant", "content": "" if content is None else content})
        extras = _extras(message, _ASSISTANT_KEYS)
        for key in extras.keys() & {"audio", "function_call"}:
            raise RequestConversionError(key, "has no place in a Responses item")
        made += calls
        carrier = next((item for item in made if item["type"] == "message"), made[-1])
        carrier.update({**extras, **carrier})
        if (data := token_data_of(message)) is not None:
            attach_token_data(made, data)
        self.items += made

    def _thoughts_and_text(self, message: Message) -> tuple[list[str], Any]:
        content = message.get("content")
        thoughts = dict.fromkeys(_text(message, field) for field in _REASONING_FIELDS if message.get(field))
        if self._options.reasoning != "think_tags":
            return list(thoughts), content
        first = content[0] if isinstance(content, list) and content else {"text": content}
        if not isinstance(first, dict) or not isinstance(first.get("text"), str):
            return list(thoughts), content
        written, rest = split_thoughts(first["text"])
        if isinstance(content, list):
            return [*thoughts, *written], [*([{**first, "text": rest}] if rest else []), *content[1:]] or None
        return [*thoughts, *written], rest if rest or not written else None

    def _call(self, call: Any, path: str) -> Item:
        kind = (call.get("type") or "function") if isinstance(call, dict) else None
        nested = call.get(kind) if kind in ("function", "custom") else None
        if not isinstance(nested, dict):
            raise RequestConversionError(path, "should be an object with an `id` and a `function` or `custom` object")
        try:
            item = {"type": "function_call", "call_id": _text(call, "id"), "name": _text(nested, "name")}
            if kind == "custom":
                self._custom_calls.add(item["call_id"])
                item.update(type="custom_tool_call", input=_text(nested, "input"))
            else:
                item["arguments"] = _text(nested, "arguments")
            return {**_extras(call, _CALL_KEYS), **item}
        except RequestConversionError as error:
            raise error.under(path) from None


def _with_refusal(content: Any, refusal: str | None) -> str | list[dict[str, Any]] | None:
    converted = None if content is None else responses_content(content, "assistant")
    if refusal is None:
        return converted
    if isinstance(converted, str):
        converted = [{"type": "output_text", "text": converted, "annotations": []}] if converted else []
    return [*(converted or []), {"type": "refusal", "refusal": refusal}]


def _text(holder: dict[str, Any], key: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str):
        raise RequestConversionError(key, f"should be text, not {type(value).__name__ if key in holder else 'missing'}")
    return value


def _extras(holder: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return the fields beyond `known`, to be passed on as they are; a null or an empty list says nothing."""
    return {key: value for key, value in holder.items() if key not in known and value is not None and value != []}


def items_of_messages(messages: Any, options: ChatOptions) -> list[Item]:
    """Return `messages` of a chat request as `input` items. Raises RequestConversionError as `ItemWriter.write`."""
    if not isinstance(messages, list):
        raise RequestConversionError("messages", f"should be a list, not {type(messages).__name__}")
    writer = ItemWriter(options)
    writer.write(messages)
    return writer.items
