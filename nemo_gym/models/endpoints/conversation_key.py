"""Which calls belong to one conversation, read off the conversation: no agent has to say it.

A request repeats the model's last answer, and engines give each tool call an id of its own. So the last answer in a
request leads to the endpoint that gave it, whoever drives the loop.
"""

import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import orjson

from nemo_gym.models.chat.think import CLOSE_TAG
from nemo_gym.wire.json_object import JsonObject

_REMEMBERED = 100_000
_numbers = itertools.count()


def request_key(messages: Sequence[Any]) -> str:
    """Return the key of the last assistant message; a new one where there is none."""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "assistant":
            return answer_key(message)
    return f"new-{next(_numbers)}"


def answer_key(message: JsonObject) -> str:
    """Return the key of an assistant message: made of the ids of its tool calls, or of its text."""
    calls = message.get("tool_calls") or []
    ids = [str(call.get("id")) for call in calls if isinstance(call, dict)]
    said = "\n".join(ids) if ids else _text(message.get("content"))
    return _digest(said.encode(errors="replace")).hex()


class AskedConversations:
    """What each answer was an answer to, so that an agent that rewrites its history is found out."""

    def __init__(self) -> None:
        self._digest_by_answer: OrderedDict[str, bytes] = OrderedDict()

    def remember(self, answer: JsonObject, messages: Sequence[Any]) -> None:
        """Note the messages that led to an answer."""
        self._digest_by_answer[answer_key(answer)] = _digest(orjson.dumps(messages))
        while len(self._digest_by_answer) > _REMEMBERED:
            self._digest_by_answer.popitem(last=False)

    def may_continue(self, messages: Sequence[Any], answer_index: int) -> bool:
        """Tell whether the answer at that index was given to the messages before it, as far as is known."""
        known = self._digest_by_answer.get(answer_key(messages[answer_index]))
        return known is None or known == _digest(orjson.dumps(messages[:answer_index]))


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()


def _text(content: Any) -> str:
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    # Reasoning may be in a field of its own by the time the answer comes back, or be left out.
    return content.rpartition(CLOSE_TAG)[2] if isinstance(content, str) else ""
