"""What a user says, and how a dialogue reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nemo_gym.wire.environment import ModelUsage
from nemo_gym.wire.json_object import JsonObject

Content = str | Sequence[JsonObject]
"""A text, or content parts of the Responses API such as `{"type": "input_image", "image_url": ...}`."""


@dataclass(frozen=True)
class UserReply:
    """What the user says next.

    Attributes:
        content: None: the episode is over.
        usage: What models cost that played the user in this turn; the rollout has the sum as `user_usage`.
    """

    content: Content | None
    usage: ModelUsage | None = None


@dataclass(frozen=True)
class Utterance:
    """One message of a dialogue."""

    role: Literal["user", "assistant"]
    text: str


def user_message(content: Content | None) -> JsonObject | None:
    """Return a user's message as an item; None for None.

    Raises:
        TypeError: It is neither a text nor a list of content parts.
        ValueError: It is empty.
    """
    if content is None:
        return None
    if not isinstance(content, str) and not _is_list_of_parts(content):
        raise TypeError(f"the user's message must be a text, a list of content parts or None, not {content!r:.200}")
    if not content:
        raise ValueError("the user's message is empty; return None to end the episode")
    return {"type": "message", "role": "user", "content": content if isinstance(content, str) else list(content)}


def _is_list_of_parts(content: Any) -> bool:
    return isinstance(content, list | tuple) and all(isinstance(part, dict) and "type" in part for part in content)
