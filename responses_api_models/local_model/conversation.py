"""The conversation as the chat template takes it, from the messages of a chat request."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_gym.models.chat import CallTokenData, ChatRequest
from nemo_gym.wire.json_object import JsonObject
from responses_api_models.local_model.llama.generation import ChatMessage, RefusedRequestError

_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system", "tool": "tool"}
_TEXT_KEYS = ("text", "refusal")


@dataclass(frozen=True)
class Conversation:
    """What was said so far.

    Attributes:
        system: The instructions that open the conversation, joined; "" when there are none.
        messages: The rest, oldest first. Role `assistant` may also announce a tool call, role `tool` is its result.
        last_call: Token data of the latest model call that carries it, which holds everything up to its answer.
        num_later: The messages since that answer, >= 0; all of them without `last_call`.
    """

    system: str
    messages: Sequence[ChatMessage]
    last_call: CallTokenData | None
    num_later: int

    @property
    def user_texts(self) -> list[str]:
        """What the user said, oldest first."""
        return [message["content"] for message in self.messages if message["role"] == "user"]

    @property
    def ends_with_tool_result(self) -> bool:
        """Whether a tool has just answered."""
        return bool(self.messages) and self.messages[-1]["role"] == "tool"

    def with_instructions(self, instructions: str = "") -> list[ChatMessage]:
        """Return all messages for the chat template, `instructions` added to the opening ones.

        Only the roles every template knows are left, no two user or assistant messages in a row. Tool results are said
        by the user, in words: after JSON the small model goes on with JSON instead of answering.
        """
        system = "\n\n".join(text for text in (self.system, instructions) if text)
        return _merged([{"role": "system", "content": system}] * bool(system) + list(self.messages))

    def later(self, instructions: str = "") -> list[ChatMessage]:
        """Return what was said since the answer of `last_call`, `instructions` at its end: the opening is written."""
        messages = list(self.messages[len(self.messages) - self.num_later :])
        return _merged(messages + [{"role": "user", "content": instructions}] * bool(instructions))


def conversation_of(request: ChatRequest) -> Conversation:
    """Return the conversation of a chat request.

    Raises:
        RefusedRequestError: It has content that is no text, or no message at all.
    """
    by_message = [_of_chat_message(message) for message in request.body["messages"]]
    messages = [part for parts in by_message for part in parts]
    # One system message at most: the templates of many models refuse a second one.
    num_opening = next((i for i, message in enumerate(messages) if message["role"] != "system"), len(messages))
    if num_opening == len(messages):
        raise RefusedRequestError("there is no message to answer, only instructions or nothing")
    opening = "\n\n".join(message["content"] for message in messages[:num_opening] if message["content"])
    last_call, num_later = None, len(messages) - num_opening
    for carried in request.token_data:
        if carried.message_index is not None:
            last_call = carried.data
            num_later = sum(map(len, by_message[carried.message_index + 1 :]))
    return Conversation(opening, messages[num_opening:], last_call, num_later)


def _merged(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    merged: list[ChatMessage] = []
    for message in map(_without_tool_role, messages):
        if merged and merged[-1]["role"] == message["role"]:
            message = {**message, "content": f"{merged.pop()['content']}\n{message['content']}"}
        merged.append(message)
    return merged


def _without_tool_role(message: ChatMessage) -> ChatMessage:
    if message["role"] != "tool":
        return message
    return {"role": "user", "content": f"The result is: {message['content']}\nNow answer me in words."}


def _announced(tool_name: str, arguments: str) -> str:
    return f"I will use {tool_name.replace('_', ' ')}: {arguments}"


def _of_chat_message(message: JsonObject) -> list[ChatMessage]:
    role = _role(message["role"])
    calls = [call.get("function") for call in message.get("tool_calls") or []]
    if None in calls:
        raise RefusedRequestError("local_model knows function calls only, no custom ones")
    texts = [_text(message.get("content") or "")] if message.get("content") or not calls else []
    texts += [_announced(call["name"], call["arguments"]) for call in calls]
    return [{"role": role, "content": text} for text in texts]


def _role(role: str) -> str:
    if role not in _ROLES:
        raise RefusedRequestError(f"unknown role {role!r}; known: {', '.join(_ROLES)}")
    return _ROLES[role]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(map(_part_text, content))


def _part_text(part: JsonObject) -> str:
    for key in _TEXT_KEYS:
        if isinstance(part.get(key), str):
            return str(part[key])
    raise RefusedRequestError(f"local_model reads text only, not {part.get('type')!r}")
