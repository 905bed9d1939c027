"""Items of a Responses `input` as chat messages: what the model did in one step becomes one assistant message."""

from collections.abc import Iterable
from typing import Any

from nemo_gym.models.chat.content import chat_content
from nemo_gym.models.chat.errors import RequestConversionError, shown
from nemo_gym.models.chat.options import ChatOptions
from nemo_gym.models.chat.think import CLOSE_TAG, as_think_blocks
from nemo_gym.models.chat.token_data import CALL_FIELDS, CallTokenData, MessageTokenData, token_data_of

Item = dict[str, Any]

# The API's labels of an item: they name it or say how it ended, and aren't part of the prompt.
_LABELS = frozenset({"type", "id", "status", *CALL_FIELDS})
_MESSAGE_KEYS = _LABELS | {"role", "content"}
_REASONING_KEYS = _LABELS | {"summary", "content", "encrypted_content"}
_CALL_KEYS = _LABELS | {"call_id", "name", "arguments"}
_CUSTOM_CALL_KEYS = _LABELS | {"call_id", "name", "input"}
_OUTPUT_KEYS = _LABELS | {"call_id", "output"}
# Passed on from an item, these would change what its message says.
_CHAT_KEYS = frozenset({"tool_calls", "tool_call_id", "function_call", "reasoning_content", "reasoning", "function"})
# The order that everything in a chat message has. What comes earlier in it begins the next message.
_REASONING, _TEXT, _CALL = range(3)


class MessageWriter:
    """Writes items, oldest first, into `messages`; `token_data` collects what the items carry, call by call."""

    def __init__(self, options: ChatOptions) -> None:
        self.messages: list[dict[str, Any]] = []
        self.token_data: list[MessageTokenData] = []
        self._options = options
        self._role_by_role = {"user": "user", "system": "system", "developer": options.developer_role}
        self._write_by_type = {
            "message": self._message,
            "function_call": self._function_call,
            "function_call_output": self._call_output,
            "reasoning": self._reasoning,
            "custom_tool_call": self._custom_call,
            "custom_tool_call_output": self._call_output,
        }
        self._step: dict[str, Any] | None = None  # the assistant message that the next item may join
        self._reached = _REASONING
        self._call_data: CallTokenData | None = None  # of the model call that made this message

    def write(self, items: Iterable[Any]) -> None:
        """Write all items of `input`.

        Raises:
            RequestConversionError: An item that Chat can't express, or that lacks what its type needs.
        """
        write_by_type = self._write_by_type
        for index, item in enumerate(items):
            try:
                if not isinstance(item, dict):
                    raise RequestConversionError("", f"an item should be an object, not {type(item).__name__}")
                kind = item.get("type") or ("message" if "role" in item else "item_reference")
                write = write_by_type.get(kind) if isinstance(kind, str) else None
                if write is None:
                    known = ", ".join(write_by_type)
                    raise RequestConversionError("", f"Chat can't say an item of type {shown(kind)}; it has: {known}")
                write(item)
            except RequestConversionError as error:
                raise error.under(f"input[{index}]") from None

    def _message(self, item: Item) -> None:
        role = item.get("role")
        if role == "assistant":
            self._assistant_message(item)
            return
        chat_role = self._role_by_role.get(role) if isinstance(role, str) else None
        if chat_role is None:
            raise RequestConversionError("role", f"{shown(role)} is none of: assistant, user, system, developer")
        content = item.get("content")
        if not isinstance(content, str):
            content = chat_content(content, chat_role)
        message = {"role": chat_role, "content": content}
        if _has_extras(item, 2 + ("type" in item)):
            message.update(_extras(item, _MESSAGE_KEYS))
        self._step = None
        self.messages.append(message)

    def _assistant_message(self, item: Item) -> None:
        content = item.get("content")
        if not isinstance(content, str):
            content = chat_content(content, "assistant")
        step = self._join(item, _TEXT)
        # A step with unanswered calls can't be ended by another message, so its text joins what is there.
        step["content"] = content if step["content"] is None else _joined(step["content"], content)
        if _has_extras(item, 2 + ("type" in item)):
            step.update(_extras(item, _MESSAGE_KEYS))

    def _reasoning(self, item: Item) -> None:
        form = self._options.reasoning
        if form == "drop":
            if (data := token_data_of(item)) is not None:
                self.token_data.append(MessageTokenData(None, data))
            return
        if not _REASONING_KEYS.issuperset(item) and (extras := _extras(item, _REASONING_KEYS)):
            raise RequestConversionError(next(iter(extras)), "Chat has no place for this field of a reasoning item")
        thoughts = _thoughts(item)
        reasoning = as_think_blocks(thoughts) if form == "think_tags" else "\n".join(thoughts)
        if not reasoning:
            if item.get("encrypted_content"):
                raise RequestConversionError(
                    "encrypted_content",
                    "Chat can't hand back encrypted reasoning; the option reasoning='drop' leaves it out",
                )
            return
        step = self._join(item, _REASONING)
        if form == "think_tags":
            step["content"] = reasoning if step["content"] is None else _joined(step["content"], reasoning)
        else:
            step[form] = f"{step[form]}\n{reasoning}" if form in step else reasoning

    def _function_call(self, item: Item) -> None:
        name, arguments = item.get("name"), item.get("arguments")
        if not (isinstance(name, str) and isinstance(arguments, str)):
            name, arguments = _text(item, "name"), _text(item, "arguments")
        self._call(item, "function", {"name": name, "arguments": arguments}, _CALL_KEYS)

    def _custom_call(self, item: Item) -> None:
        custom = {"name": _text(item, "name"), "input": _text(item, "input")}
        self._call(item, "custom", custom, _CUSTOM_CALL_KEYS)

    def _call(self, item: Item, kind: str, called: dict[str, Any], known: frozenset[str]) -> None:
        call = {"id": _text(item, "call_id"), "type": kind, kind: called}
        if _has_extras(item, 4):
            call.update(_extras(item, known))
        step = self._join(item, _CALL)
        if "tool_calls" in step:
            step["tool_calls"].append(call)
        else:
            step["tool_calls"] = [call]

    def _call_output(self, item: Item) -> None:
        output = item.get("output")
        if not isinstance(output, str):
            try:
                output = chat_content(output, "tool")
            except RequestConversionError as error:
                raise RequestConversionError(error.path.replace("content", "output", 1), error.problem) from None
        message = {"role": "tool", "tool_call_id": _text(item, "call_id"), "content": output}
        if _has_extras(item, 3):
            message.update(_extras(item, _OUTPUT_KEYS))
        self._step = None
        self.messages.append(message)

    def _join(self, item: Item, kind: int) -> dict[str, Any]:
        """Return the assistant message that an item of this kind belongs to, which may be a new one."""
        data = token_data_of(item) if "generation_token_ids" in item else None
        step = self._step
        if step is None or kind <= self._reached < _CALL or self._is_of_another_call(data):
            self._step = step = {"role": "assistant", "content": None}
            self.messages.append(step)
            self._reached, self._call_data = kind, None
        elif kind > self._reached:
            self._reached = kind
        if data is not None and self._call_data is None:
            self._call_data = data
            self.token_data.append(MessageTokenData(len(self.messages) - 1, data))
            if self._options.send_token_data:
                step.update(data.fields())
        return step

    def _is_of_another_call(self, data: CallTokenData | None) -> bool:
        """A call's token data is on its last item, so what follows is of the next call, unless it has the same data."""
        if self._call_data is None:
            return False
        return data != self._call_data if data is not None else self._reached != _CALL


def _text(item: Item, key: str) -> str:
    value = item.get(key)
    if not isinstance(value, str):
        found = type(value).__name__ if key in item else "missing"
        raise RequestConversionError(key, f"should be text, not {found}")
    return value


def _has_extras(item: Item, own: int) -> bool:
    """Whether an item that has its `own` keys has more than two labels beside them. Cheaper than looking at each."""
    return len(item) != own + ("id" in item) + ("status" in item)


def _extras(item: Item, known: frozenset[str]) -> Item:
    """Return the fields that the API doesn't publish, to be passed on as they are. None says nothing."""
    extras = {key: value for key, value in item.items() if key not in known and value is not None}
    for key in extras:
        if key in _CHAT_KEYS:
            raise RequestConversionError(key, "is a field of Chat messages; in Responses it is an item of its own")
    return extras


def _thoughts(item: Item) -> list[str]:
    """Return the reasoning itself where the engine shows it, else its summary."""
    key = "content" if item.get("content") else "summary"
    parts = item.get(key) or []
    thoughts: list[str] = []
    for part in parts if isinstance(parts, list) else [None]:
        text = part.get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            raise RequestConversionError(key, "should be a list of parts with a `text`")
        thoughts.append(text)
    return thoughts


def _joined(earlier: str | list[Item], later: str | list[Item]) -> str | list[Item]:
    if isinstance(earlier, str) and isinstance(later, str) and earlier.endswith(CLOSE_TAG):
        return earlier + later
    return [*_as_parts(earlier), *_as_parts(later)]


def _as_parts(content: str | list[Item]) -> list[Item]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
