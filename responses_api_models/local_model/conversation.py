"""The conversation as the chat template takes it, from the items of either API."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming
from responses_api_models.local_model.generation import ChatMessage, RefusedRequestError

_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system", "tool": "tool"}
_TEXT_KEYS = ("text", "refusal")


@dataclass(frozen=True)
class Conversation:
    """What was said so far.

    Attributes:
        system: The instructions that open the conversation, joined; "" when there are none.
        messages: The rest, oldest first. Role `assistant` may also announce a tool call, role `tool` is its result.
    """

    system: str
    messages: Sequence[ChatMessage]

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
        rendered: list[ChatMessage] = [{"role": "system", "content": system}] if system else []
        for message in map(_without_tool_role, self.messages):
            if rendered and rendered[-1]["role"] == message["role"]:
                message = {**message, "content": f"{rendered.pop()['content']}\n{message['content']}"}
            rendered.append(message)
        return rendered


def conversation_of_response(body: NeMoGymResponseCreateParamsNonStreaming) -> Conversation:
    """Return the conversation of a Responses request.

    Raises:
        RefusedRequestError: It has content that is no text, or no message at all.
    """
    if isinstance(body.input, str):
        return _conversation(body.instructions, [{"role": "user", "content": body.input}])
    return _conversation(body.instructions, [message for item in body.input for message in _of_item(item)])


def conversation_of_chat(messages: Iterable[dict[str, Any]]) -> Conversation:
    """Return the conversation of a Chat Completions request. Raises as `conversation_of_response` does."""
    return _conversation(None, [part for message in messages for part in _of_chat_message(message)])


def _conversation(instructions: str | None, messages: list[ChatMessage]) -> Conversation:
    # One system message at most: the templates of many models refuse a second one.
    num_opening = next((i for i, message in enumerate(messages) if message["role"] != "system"), len(messages))
    if num_opening == len(messages):
        raise RefusedRequestError("there is no message to answer, only instructions or nothing")
    opening = [instructions or "", *(message["content"] for message in messages[:num_opening])]
    return Conversation("\n\n".join(text for text in opening if text), messages[num_opening:])


def _without_tool_role(message: ChatMessage) -> ChatMessage:
    if message["role"] != "tool":
        return message
    return {"role": "user", "content": f"The result is: {message['content']}\nNow answer me in words."}


def _announced(tool_name: str, arguments: str) -> str:
    return f"I will use {tool_name.replace('_', ' ')}: {arguments}"


def _of_item(item: Any) -> list[ChatMessage]:
    match item.type:
        case "message":
            return [{"role": _role(item.role), "content": _text(item.content)}]
        case "function_call":
            return [{"role": "assistant", "content": _announced(item.name, item.arguments)}]
        case "function_call_output":
            return [{"role": "tool", "content": _text(item.output)}]
        case "reasoning":
            return []  # what an earlier model thought is not part of what was said
        case other:
            raise RefusedRequestError(f"local_model cannot read input items of type {other!r}")


def _of_chat_message(message: dict[str, Any]) -> list[ChatMessage]:
    role = _role(message["role"])
    calls = [call["function"] for call in message.get("tool_calls") or []]
    texts = [_text(message.get("content") or "")] if message.get("content") or not calls else []
    texts += [_announced(call["name"], call["arguments"]) for call in calls]
    return [{"role": role, "content": text} for text in texts]


def _role(role: str) -> str:
    if role not in _ROLES:
        raise RefusedRequestError(f"unknown role {role!r}; known: {', '.join(_ROLES)}")
    return _ROLES[role]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(_part_text(part if isinstance(part, dict) else part.model_dump()) for part in content)


def _part_text(part: dict[str, Any]) -> str:
    for key in _TEXT_KEYS:
        if isinstance(part.get(key), str):
            return str(part[key])
    raise RefusedRequestError(f"local_model reads text only, not {part.get('type')!r}")
