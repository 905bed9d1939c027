"""What a script can see of a request: the same few facts for Responses and Chat Completions."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from responses_api_models.scripted_model.openai_error import RequestError

Item = Mapping[str, Any]

_USER, _POLICY, _TOOL, _OTHER = "user", "policy", "tool", "other"


class Conversation:
    """One request as the scripted policy sees it.

    Attributes:
        request: The whole request body.
        items: Responses input items or chat messages, oldest first.
        tools: The declared tools, as they were written.
        metadata: The request's metadata; empty when it has none.
        step: Model calls already visible after the last user message; 0 at the first call of a rollout. Counted
            from the input alone, so a replayed request gets the answer it got the first time.
        has_tool_result: Whether a tool result follows the last user message.
    """

    def __init__(self, request: Mapping[str, Any], items: Sequence[Item]) -> None:
        self.request = request
        self.items = items
        self.tools = _checked(request.get("tools") or [], "tools")
        metadata = request.get("metadata")
        self.metadata = metadata if isinstance(metadata, dict) else {}
        self.step, self.has_tool_result, self._last_user = _since_last_user(items)

    def last_user_text(self) -> str:
        """Return the text of the last user message; empty when there is none."""
        return _text(self._last_user)

    def declares_tool(self, name: str) -> bool:
        """Tell whether a tool of this name is declared, flat (Responses) or nested under `function` (chat)."""
        return any(_tool_name(tool) == name for tool in self.tools)

    def task_key(self) -> str:
        """Return `metadata.task_key`, or else a digest of the first user message (16 hexadecimal digits)."""
        key = self.metadata.get("task_key")
        if key is not None:
            return str(key)
        first_user = next((item for item in self.items if item.get("role") == "user"), None)
        return blake2b(_text(first_user).encode("utf-8", "replace"), digest_size=8).hexdigest()


def responses_conversation(request: Mapping[str, Any]) -> Conversation:
    """Read the body of `POST /v1/responses`.

    Raises:
        RequestError: `input` is neither a text nor a list of objects, or `tools` is no list of objects.
    """
    given = request.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    return Conversation(request, _checked(items, "input"))


def chat_conversation(request: Mapping[str, Any]) -> Conversation:
    """Read the body of `POST /v1/chat/completions`.

    Raises:
        RequestError: `messages` or `tools` is no list of objects.
    """
    return Conversation(request, _checked(request.get("messages"), "messages"))


def _checked(items: Any, param: str) -> Sequence[Item]:
    if items is None:
        raise RequestError(f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RequestError(f"Invalid type for '{param}': expected a list of objects.", code="invalid_type", param=param)
    return items


def _tool_name(tool: Item) -> Any:
    function = tool.get("function")
    return (function if isinstance(function, dict) else tool).get("name")


def _author(item: Item) -> str:
    role = item.get("role")
    if role == "user":
        return _USER
    if role == "tool" or str(item.get("type")).endswith("_output"):
        return _TOOL
    return _OTHER if role in ("system", "developer") else _POLICY


def _since_last_user(items: Sequence[Item]) -> tuple[int, bool, Item | None]:
    """Return model calls, whether there is a tool result, and the last user message itself."""
    steps, has_tool_result, author_after = 0, False, _USER
    for item in reversed(items):
        author = _author(item)
        if author == _USER:
            return steps, has_tool_result, item
        # One model call leaves a run of items (reasoning, message, several calls): count runs.
        steps += author == _POLICY and author_after != _POLICY
        has_tool_result |= author == _TOOL
        author_after = author_after if author == _OTHER else author
    return steps, has_tool_result, None


def _text(item: Item | None) -> str:
    content = item.get("content") if item else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
