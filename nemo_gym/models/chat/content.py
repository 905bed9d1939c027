"""Content of messages and tool results, in both directions: a text, or a list of parts."""

from collections.abc import Callable, Mapping
from typing import Any

from nemo_gym.models.chat.errors import RequestConversionError, shown

Part = dict[str, Any]
_Convert = Callable[[Part], Part]

# What an earlier answer says about its text. It isn't part of the prompt, and Chat has no place for it.
_TEXT_KEYS = frozenset({"type", "text", "annotations", "logprobs"})


def chat_content(content: Any, role: str) -> str | list[Part]:
    """Return the content of a Responses item as that of a chat message; one part of plain text becomes the text itself.

    Args:
        content: Text or parts, as decoded.
        role: Role of the chat message; it decides which parts Chat allows.

    Raises:
        RequestConversionError: Neither; or a part that Chat doesn't have in such a message. Its path begins at
            `content`, the key under which all kinds but tool results have it.
    """
    if isinstance(content, str):
        return content
    # Engines that know only texts take one, and no template tells it from a list of one.
    if isinstance(content, list) and len(content) == 1 and (text := _plain_text(content[0], role)) is not None:
        return text
    return _converted(content, _TO_CHAT.get(role, _TEXT_ONLY_TO_CHAT), role)


def responses_content(content: Any, role: str) -> str | list[Part]:
    """Return the content of a chat message as that of a Responses item. Raises as `chat_content` does."""
    if isinstance(content, str):
        return content
    return _converted(content, _TO_RESPONSES.get(role, _TEXT_ONLY_TO_RESPONSES), role)


def _plain_text(part: Any, role: str) -> str | None:
    if not isinstance(part, dict) or not _TEXT_KEYS.issuperset(part):
        return None
    kind, text = part.get("type"), part.get("text")
    is_text = kind == "input_text" or (kind == "output_text" and role == "assistant")
    return text if is_text and isinstance(text, str) else None


def _converted(parts: Any, converters: Mapping[str, _Convert], role: str) -> list[Part]:
    if not isinstance(parts, list):
        raise RequestConversionError("content", f"should be text or a list of parts, not {type(parts).__name__}")
    converted: list[Part] = []
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        convert = converters.get(kind) if isinstance(kind, str) else None
        path = f"content[{index}]"
        if convert is None:
            known = ", ".join(converters)
            raise RequestConversionError(
                path, f"a part of type {shown(kind)} can't be converted for role {role!r}; these can: {known}"
            )
        try:
            converted.append(convert(part))
        except RequestConversionError as error:
            raise error.under(path) from None
    return converted


def _text(part: Part, key: str = "text") -> str:
    text = part.get(key)
    if not isinstance(text, str):
        raise RequestConversionError(key, f"should be text, not {type(text).__name__}")
    return text


def _extras(part: Part, known: frozenset[str]) -> Part:
    return {key: value for key, value in part.items() if key not in known and value is not None}


def _text_part(kind: str, defaults: Part | None = None) -> _Convert:
    def convert(part: Part) -> Part:
        return {"type": kind, "text": _text(part), **(defaults or {}), **_extras(part, _TEXT_KEYS)}

    return convert


def _same(part: Part) -> Part:
    return part


def _refusal(part: Part) -> Part:
    return {"type": "refusal", "refusal": _text(part, "refusal")}


def _image_to_chat(part: Part) -> Part:
    if part.get("file_id") is not None:
        raise RequestConversionError("file_id", "Chat takes images by URL or data URL only: use `image_url`")
    image = {"url": _text(part, "image_url")}
    if part.get("detail") is not None:
        image["detail"] = part["detail"]
    extras = _extras(part, frozenset({"type", "image_url", "detail", "file_id"}))
    return {"type": "image_url", "image_url": image, **extras}


def _image_to_responses(part: Part) -> Part:
    image = part.get("image_url")
    if not isinstance(image, dict):
        raise RequestConversionError("image_url", f"should be an object with a `url`, not {type(image).__name__}")
    extras = _extras(part, frozenset({"type", "image_url"}))
    return {"type": "input_image", "image_url": _text(image, "url"), "detail": image.get("detail") or "auto", **extras}


_FILE_FIELDS = ("file_data", "file_id", "filename")


def _file_to_chat(part: Part) -> Part:
    for field in ("file_url", "detail"):
        if part.get(field) is not None:
            raise RequestConversionError(field, "Chat's files have no such field: use `file_data` or `file_id`")
    file = {field: part[field] for field in _FILE_FIELDS if part.get(field) is not None}
    return {"type": "file", "file": file, **_extras(part, frozenset({"type", "file_url", "detail", *_FILE_FIELDS}))}


def _file_to_responses(part: Part) -> Part:
    file = part.get("file")
    if not isinstance(file, dict):
        raise RequestConversionError("file", f"should be an object, not {type(file).__name__}")
    return {"type": "input_file", **file, **_extras(part, frozenset({"type", "file"}))}


_TEXT_ONLY_TO_CHAT: Mapping[str, _Convert] = {"input_text": _text_part("text")}
_TO_CHAT: Mapping[str, Mapping[str, _Convert]] = {
    "user": {
        "input_text": _text_part("text"),
        "input_image": _image_to_chat,
        "input_file": _file_to_chat,
        "input_audio": _same,
    },
    # A short-form message of the assistant may have its text as `input_text`.
    "assistant": {"output_text": _text_part("text"), "input_text": _text_part("text"), "refusal": _refusal},
}
_TEXT_ONLY_TO_RESPONSES: Mapping[str, _Convert] = {"text": _text_part("input_text")}
_TO_RESPONSES: Mapping[str, Mapping[str, _Convert]] = {
    "user": {
        "text": _text_part("input_text"),
        "image_url": _image_to_responses,
        "file": _file_to_responses,
        "input_audio": _same,
    },
    "assistant": {"text": _text_part("output_text", {"annotations": []}), "refusal": _refusal},
}
