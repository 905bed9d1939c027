"""What a script can see of a request, and the conditions on it; the same for Responses and Chat Completions."""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from responses_api_models.scripted_model.asgi import RequestError

Item = Mapping[str, Any]

_USER, _POLICY, _TOOL, _OTHER = "user", "policy", "tool", "other"
_SENTENCE_END = ".,;:!?\u2026 \t\n"


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
        return text_of(self._last_user)

    def system_text(self) -> str:
        """Return the instructions and all system and developer messages, one after the other."""
        messages = [text_of(item) for item in self.items if _author(item) == _OTHER]
        return "\n".join([str(self.request.get("instructions") or ""), *messages])

    def tool_result_text(self) -> str:
        """Return the newest tool result; empty when there is none."""
        return text_of(next((item for item in reversed(self.items) if _author(item) == _TOOL), None))

    def whole_text(self) -> str:
        """Return the instructions and the texts of all messages and tool results, oldest first."""
        return "\n".join([str(self.request.get("instructions") or ""), *map(text_of, self.items)])

    def declares_tool(self, name: str) -> bool:
        """Tell whether a tool of this name is declared, flat (Responses) or nested under `function` (chat)."""
        return any(_tool_name(tool) == name for tool in self.tools)

    def task_key(self) -> str:
        """Return `metadata.task_key`, or else a digest of the first user message (16 hexadecimal digits)."""
        key = self.metadata.get("task_key")
        if key is not None:
            return str(key)
        first_user = next((item for item in self.items if item.get("role") == "user"), None)
        return blake2b(text_of(first_user).encode("utf-8", "replace"), digest_size=8).hexdigest()


def responses_conversation(request: Mapping[str, Any]) -> Conversation:
    """Read the body of `POST /v1/responses`.

    Raises:
        RequestError: `input` is neither a text nor a list of objects, or `tools` isn't a list of objects.
    """
    given = request.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    return Conversation(request, _checked(items, "input"))


def chat_conversation(request: Mapping[str, Any]) -> Conversation:
    """Read the body of `POST /v1/chat/completions`.

    Raises:
        RequestError: `messages` or `tools` isn't a list of objects.
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


def text_of(item: Item | None, separator: str = "\n") -> str:
    """Return the text of a message or a tool result; its parts are joined with `separator`."""
    content = item.get("content", item.get("output")) if item else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return separator.join(
        part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


class Condition(BaseModel):
    """Holds when everything given holds; with nothing given (or written as `any`) it always holds.

    The regexes are searched, and their named groups fill the answer's `$names`.
    """

    model_config = ConfigDict(extra="forbid")

    last_user_matches: re.Pattern[str] | None = Field(default=None, description="Regex for the last user message.")
    system_matches: re.Pattern[str] | None = Field(
        default=None, description="Regex for instructions, system and developer messages."
    )
    tool_result_matches: re.Pattern[str] | None = Field(default=None, description="Regex for the newest tool result.")
    conversation_matches: re.Pattern[str] | None = Field(
        default=None, description="Regex for everything said: instructions, messages of all roles, tool results."
    )
    has_tool_result: bool | None = Field(
        default=None, description="Whether a tool result follows the last user message."
    )
    tools_include: str | None = Field(default=None, description="Name of a tool the request declares.")
    step: int | None = Field(default=None, ge=0, description="Model calls since the last user message; 0 is the first.")
    model: str | None = Field(default=None, description="The model name the request asks for.")

    def match(self, conversation: Conversation) -> Mapping[str, str] | None:
        """Return the captured texts by group name (empty: none captured), or None when the condition does not hold."""
        facts = (
            (self.step, conversation.step),
            (self.has_tool_result, conversation.has_tool_result),
            (self.model, conversation.request.get("model")),
        )
        if any(wanted is not None and wanted != found for wanted, found in facts):
            return None
        if self.tools_include is not None and not conversation.declares_tool(self.tools_include):
            return None
        groups: dict[str, str] = {}
        for pattern, text in self._patterns(conversation):
            found = pattern.search(text)
            if found is None:
                return None
            groups |= {name: _without_sentence_end(part) for name, part in found.groupdict(default="").items()}
        return groups

    def _patterns(self, conversation: Conversation) -> Iterator[tuple[re.Pattern[str], str]]:
        if self.last_user_matches is not None:
            yield self.last_user_matches, conversation.last_user_text()
        if self.system_matches is not None:
            yield self.system_matches, conversation.system_text()
        if self.tool_result_matches is not None:
            yield self.tool_result_matches, conversation.tool_result_text()
        if self.conversation_matches is not None:
            yield self.conversation_matches, conversation.whole_text()


def _without_sentence_end(captured: str) -> str:
    """Return `Tokyo` for `Tokyo.`: a pattern for names takes the end of the sentence along."""
    return captured.rstrip(_SENTENCE_END) or captured


def _any_as_nothing(written: Any) -> Any:
    return {} if written == "any" else written


When = Annotated[Condition, BeforeValidator(_any_as_nothing)]
"""A condition as written in YAML: a mapping, or the word `any`."""
