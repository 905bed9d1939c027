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
    """Which messages led to which tokens, so that an agent that rewrites its history is found out.

    An answer is known by all tokens up to its end: its text alone may be that of another conversation's answer too.
    """

    def __init__(self) -> None:
        self._messages_by_tokens: OrderedDict[bytes, bytes] = OrderedDict()

    def remember(self, tokens: bytes, messages: Sequence[Any]) -> None:
        """Note the messages that led to an answer; `tokens` are all up to its end, as text."""
        self._messages_by_tokens[_digest(tokens)] = _digest(orjson.dumps(messages))
        while len(self._messages_by_tokens) > _REMEMBERED:
            self._messages_by_tokens.popitem(last=False)

    def may_continue(self, tokens: bytes, messages: Sequence[Any]) -> bool:
        """Tell whether the answer with these tokens was given to these messages, as far as is known."""
        known = self._messages_by_tokens.get(_digest(tokens))
        return known is None or known == _digest(orjson.dumps(messages))


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()


def _text(content: Any) -> str:
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    # Reasoning may be in a field of its own by the time the answer comes back, or be left out.
    return content.rpartition(CLOSE_TAG)[2] if isinstance(content, str) else ""
