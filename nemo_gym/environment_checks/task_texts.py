"""The texts of a task: what its prompt says, and the values of its fields."""

from collections.abc import Iterable, Mapping
from typing import Any

from nemo_gym.environment_checks.subject import SOLUTION

_MAX_CHARS = 200
_NOT_FIELDS = frozenset({"responses_create_params", "agent_ref", SOLUTION})


def prompt_of(task: Mapping[str, Any]) -> str:
    """Return all texts of a task's input but the assistant's own."""
    given = task["responses_create_params"]["input"]
    if isinstance(given, str):
        return given
    contents = [item.get("content", "") for item in given if item.get("role") != "assistant"]
    parts = [[{"text": one}] if isinstance(one, str) else one for one in contents]
    return "\n".join(str(part.get("text", "")) for content in parts for part in content)


def leaves_of(value: Any) -> Iterable[str]:
    """Yield the texts and numbers inside the fields of a task that the verifier may need."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in _NOT_FIELDS:
                yield from leaves_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves_of(inner)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value)
        if text and len(text) <= _MAX_CHARS:
            yield text
