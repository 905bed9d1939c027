"""A rollout as a conversation a person can read."""

import textwrap
from collections.abc import Iterator
from typing import Any

_WIDTH = 110
_MAX_CHARS = 2_000


def conversation_lines(row: dict[str, Any]) -> list[str]:
    """Return the lines of one rollout row: who said what, tool calls and their results, the reward."""
    params = row["responses_create_params"]
    given = params["input"]
    lines: list[str] = []
    if params.get("instructions"):
        lines += _said("instructions", params["instructions"])
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        lines += _item_lines(item)
    for item in row["response"]["output"]:
        lines += _item_lines(item)
    masked = "  (masked: not to be trained on)" if row.get("mask_sample") else ""
    return [*lines, f"{'reward':>12}  {row['reward']:g}{masked}"]


def last_message(row: dict[str, Any]) -> str:
    """Return the text the policy ended with; empty when it ended with something else."""
    output = row["response"]["output"]
    return _text(output[-1].get("content")) if output and output[-1].get("type") == "message" else ""


def _item_lines(item: dict[str, Any]) -> Iterator[str]:
    match item.get("type", "message"):
        case "function_call":
            yield from _said("tool call", f"{item['name']}({item['arguments']})")
        case "function_call_output":
            yield from _said("tool result", _text(item["output"]))
        case "reasoning":
            parts = item.get("content") or item.get("summary") or []
            yield from _said("reasoning", _text(parts))
        case "message":
            yield from _said(item.get("role", "?"), _text(item.get("content")))
        case other:
            yield from _said(other, "…")


def _said(who: str, text: str) -> list[str]:
    shown = text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}… [{len(text)} characters]"
    wrapped = [line for part in shown.splitlines() or [""] for line in textwrap.wrap(part, _WIDTH) or [""]]
    return [f"{who if i == 0 else '':>12}  {line}" for i, line in enumerate(wrapped)]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text") or part.get("refusal") or f"[{part.get('type')}]") for part in parts)
