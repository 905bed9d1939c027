"""The items of a rollout as people read them: who said what, tool calls and results, images; long texts shortened."""

import re
from typing import Any, Literal

import orjson
from pydantic import BaseModel

MAX_CHARS = 20_000
_MAX_IMAGE_CHARS = 6_000_000
_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+\Z")
_TOKEN_KEYS = ("prompt_token_ids", "generation_token_ids", "generation_log_probs")

Kind = Literal["message", "reasoning", "tool_call", "tool_result", "other"]


class Part(BaseModel):
    """A piece of text, at most 20,000 characters of it, or an image as a data URL.

    Attributes:
        chars: Length of the whole text.
    """

    text: str = ""
    chars: int = 0
    image: str | None = None


class Item(BaseModel):
    """One item. `index`: its place among all items of the rollout, the prompt's first."""

    index: int
    kind: Kind
    role: str
    generated: bool
    call_id: str = ""
    name: str = ""
    parts: list[Part]
    has_tokens: bool = False


def raw_items(row: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the items of the prompt and those of the trajectory, as the row has them."""
    params = row.get("responses_create_params")
    params = params if isinstance(params, dict) else {}
    given = params.get("input", [])
    prompt = (
        [{"role": "user", "content": given}] if isinstance(given, str) else given if isinstance(given, list) else []
    )
    if params.get("instructions"):
        prompt = [{"role": "instructions", "content": params["instructions"]}, *prompt]
    response = row.get("response")
    output = response.get("output") if isinstance(response, dict) else None
    return prompt, output if isinstance(output, list) else []


def items_of(row: dict[str, Any], offset: int, limit: int, max_chars: int = MAX_CHARS) -> tuple[list[Item], int]:
    """Return a stretch of the items, and how many there are."""
    prompt, output = raw_items(row)
    everything = [*((item, False) for item in prompt), *((item, True) for item in output)]
    shown = everything[offset : offset + limit]
    return [
        _item(item, offset + place, max_chars, generated=generated) for place, (item, generated) in enumerate(shown)
    ], len(everything)


def whole_text(row: dict[str, Any], index: int, part: int) -> str | None:
    """Return the text of a part without a limit; None where there is no such part."""
    items, _ = items_of(row, index, 1, max_chars=2**31)
    return items[0].parts[part].text if items and 0 <= part < len(items[0].parts) else None


def last_message(row: dict[str, Any], max_chars: int) -> str:
    """Return the beginning of the last message or call in the trajectory."""
    _, output = raw_items(row)
    if not output:
        return ""
    item = _item(output[-1], 0, max_chars, generated=True)
    text = " ".join(part.text for part in item.parts)
    return f"{item.name}({text})" if item.kind == "tool_call" else text


def token_texts(item: dict[str, Any]) -> list[tuple[str, float | None]]:
    """Return the tokens that an endpoint told beside an item's texts, each with its log-probability."""
    content = item.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    told = [token for part in parts if isinstance(part.get("logprobs"), list) for token in part["logprobs"]]
    return [(_str(token.get("token")), as_log_prob(token.get("logprob"))) for token in told if isinstance(token, dict)]


def as_log_prob(value: Any) -> float | None:
    """Return a number as a log-probability; None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def as_text(value: Any) -> str:
    """Return text as it is, and anything else as indented JSON."""
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def shortened(text: str, max_chars: int = MAX_CHARS) -> Part:
    """Return a text as a part."""
    return Part(text=text[:max_chars], chars=len(text))


def _item(item: Any, index: int, max_chars: int, *, generated: bool) -> Item:
    if not isinstance(item, dict):
        return Item(
            index=index, kind="other", role="", generated=generated, parts=[shortened(as_text(item), max_chars)]
        )
    kind, role, parts = _content(item, max_chars)
    return Item(
        index=index,
        kind=kind,
        role=role,
        generated=generated and kind != "tool_result" and role not in ("user", "system", "developer"),
        call_id=_str(item.get("call_id")),
        name=_str(item.get("name")),
        parts=parts,
        has_tokens="generation_token_ids" in item or bool(token_texts(item)),
    )


def _content(item: dict[str, Any], max_chars: int) -> tuple[Kind, str, list[Part]]:
    match item.get("type", "message"):
        case "function_call":
            return "tool_call", "assistant", [shortened(as_text(item.get("arguments", "")), max_chars)]
        case "function_call_output":
            return "tool_result", "tool", _parts(item.get("output"), max_chars)
        case "reasoning":
            return "reasoning", "assistant", _parts(item.get("content") or item.get("summary") or [], max_chars)
        case "message":
            return "message", _str(item.get("role")) or "?", _parts(item.get("content"), max_chars)
        case other:
            shown = {key: value for key, value in item.items() if key not in _TOKEN_KEYS}
            return "other", _str(other), [shortened(as_text(shown), max_chars)]


def _parts(content: Any, max_chars: int) -> list[Part]:
    if isinstance(content, list):
        return [_part(part, max_chars) for part in content]
    return [shortened("" if content is None else as_text(content), max_chars)]


def _part(part: Any, max_chars: int) -> Part:
    if not isinstance(part, dict):
        return shortened(as_text(part), max_chars)
    url = part.get("image_url")
    if isinstance(url, dict):
        url = url.get("url")
    if isinstance(url, str) and len(url) <= _MAX_IMAGE_CHARS and _IMAGE.match(url):
        return Part(text="image", image=url)
    text = part.get("text") if part.get("text") is not None else part.get("refusal")
    return shortened(as_text(part if text is None else text), max_chars)


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""
