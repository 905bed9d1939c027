"""What a chat model wrote as items of a Response: reasoning, then the message, then the calls.

Engines differ in what they put into a message. What has one plausible meaning is taken (arguments as an object, a call
without an id, content as text parts); the rest is a `ModelOutputError`, whose path begins at the message.
"""

import json
from typing import Any

from nemo_gym.models.chat.errors import ModelOutputError, shown
from nemo_gym.models.chat.options import ChatOptions
from nemo_gym.models.chat.think import split_thoughts

Item = dict[str, Any]

_REASONING_FIELDS = ("reasoning_content", "reasoning")
_MESSAGE_KEYS = frozenset(
    {
        *("role", "content", "refusal", "tool_calls", "function_call", "annotations", "audio", *_REASONING_FIELDS),
        *("prompt_token_ids", "generation_token_ids", "generation_log_probs", "token_ids"),
    }
)
_CALL_KEYS = frozenset({"id", "type", "function", "custom", "index"})


def output_items(message: dict[str, Any], logprobs: list[Item], core: str, options: ChatOptions) -> list[Item]:
    """Return at least one item; a message without anything is one empty message.

    Args:
        message: The completion's message, as decoded. Fields that no API publishes are passed on, on the message item
            or else on the last one: some endpoints want them handed back.
        logprobs: One object for each generated token; may be empty.
        core: What the ids of all items of this answer have in common.
        options: How reasoning in the text is treated.
    """
    if message.get("audio") is not None:
        raise ModelOutputError("audio", "a Response has no place for audio")
    content, refusal = _content(message.get("content")), _refusal(message)
    thoughts = _thoughts_in_fields(message)
    text = content
    if not thoughts and options.think_in_text == "split" and content:
        thoughts, text = split_thoughts(content, template_opens=options.template_opens_think)
        logprobs = _from_text_on(logprobs, content, text) if text != content else logprobs
    items: list[Item] = []
    if thoughts:
        summary = [{"type": "summary_text", "text": thought} for thought in thoughts]
        items.append({"id": f"rs_{core}", "summary": summary, "type": "reasoning"})
    calls = _calls(message, core)
    written: Item | None = None
    if refusal or (text and not (thoughts and text.isspace())) or not (thoughts or calls):
        parts = [_text_part(text, message, logprobs)] if text or not refusal else []
        parts += [{"refusal": refusal, "type": "refusal"}] if refusal else []
        written = {"id": f"msg_{core}", "content": parts, "role": "assistant", "status": "completed", "type": "message"}
        items.append(written)
    items += calls
    carrier = items[-1] if written is None else written
    carrier.update({**_extras(message, _MESSAGE_KEYS), **carrier})
    return items


def _content(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise ModelOutputError("content", f"should be text, not {type(content).__name__}")
    texts = []
    for index, part in enumerate(content):
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            raise ModelOutputError(f"content[{index}]", "only text parts have a place in a Response")
        texts.append(text)
    return "".join(texts)


def _refusal(message: dict[str, Any]) -> str:
    refusal = message.get("refusal") or ""
    if not isinstance(refusal, str):
        raise ModelOutputError("refusal", f"should be text, not {type(refusal).__name__}")
    return refusal


def _thoughts_in_fields(message: dict[str, Any]) -> list[str]:
    thoughts: list[str] = []
    for field in _REASONING_FIELDS:
        thought = message.get(field) or ""
        if not isinstance(thought, str):
            raise ModelOutputError(field, f"should be text, not {type(thought).__name__}")
        # Some engines write the same reasoning under both names.
        if thought and thought not in thoughts:
            thoughts.append(thought)
    return thoughts


def _text_part(text: str, message: dict[str, Any], logprobs: list[Item]) -> Item:
    part: Item = {"annotations": _annotations(message.get("annotations")), "text": text, "type": "output_text"}
    if logprobs:
        part["logprobs"] = logprobs
    return part


def _annotations(annotations: Any) -> list[Item]:
    if not isinstance(annotations or [], list):
        raise ModelOutputError("annotations", f"should be a list, not {type(annotations).__name__}")
    flat = []
    for index, annotation in enumerate(annotations or []):
        kind = annotation.get("type") if isinstance(annotation, dict) else None
        nested = annotation.get(kind) if isinstance(kind, str) else None
        if not isinstance(nested, dict):
            raise ModelOutputError(
                f"annotations[{index}]", "should be an object with a `type` and an object under its name"
            )
        flat.append({**nested, "type": kind})
    return flat


def _from_text_on(logprobs: list[Item], content: str, text: str) -> list[Item]:
    """Return those of the tokens that follow the reasoning, where the text is the end of the content."""
    if not text or not content.endswith(text):
        return logprobs if text else []
    left = len(content.encode(errors="replace")) - len(text.encode(errors="replace"))
    for index, token in enumerate(logprobs):
        if left <= 0:
            return logprobs[index:]
        left -= len(token["bytes"])
    return []


def _calls(message: dict[str, Any], core: str) -> list[Item]:
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise ModelOutputError("tool_calls", f"should be a list, not {type(calls).__name__}")
    if not calls and message.get("function_call") is not None:
        calls = [{"function": message["function_call"]}]
    taken: set[str] = set()
    return [_call(call, f"tool_calls[{index}]", f"{core}_{index}", taken) for index, call in enumerate(calls)]


def _call(call: Any, path: str, own_id: str, taken: set[str]) -> Item:
    kind = (call.get("type") or "function") if isinstance(call, dict) else None
    nested = call.get(kind) if kind in ("function", "custom") else None
    if not isinstance(nested, dict):
        raise ModelOutputError(path, f"should have a `function` or `custom` object; its type is {shown(kind)}")
    name = nested.get("name")
    if not isinstance(name, str):
        raise ModelOutputError(f"{path}.{kind}.name", f"should be text, not {type(name).__name__}")
    call_id = call.get("id")
    # An engine without ids writes none, or the same for every call; the results could not be told apart.
    if not isinstance(call_id, str) or not call_id or call_id in taken:
        call_id = f"call_{own_id}"
    taken.add(call_id)
    if kind == "custom":
        given = _as_text(nested.get("input"), f"{path}.custom.input", "")
        item = {"call_id": call_id, "input": given, "name": name, "type": "custom_tool_call", "id": f"ctc_{own_id}"}
    else:
        given = _as_text(nested.get("arguments"), f"{path}.function.arguments", "{}")
        item = {"arguments": given, "call_id": call_id, "name": name, "type": "function_call", "id": f"fc_{own_id}"}
        item["status"] = "completed"
    return {**_extras(call, _CALL_KEYS), **item}


def _as_text(value: Any, path: str, absent: str) -> str:
    """Return arguments as the model wrote them; from an engine that decoded them, as JSON again."""
    if isinstance(value, str):
        return value
    if value is None:
        return absent
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelOutputError(path, f"can't be written as JSON: {error}") from error


def _extras(holder: dict[str, Any], known: frozenset[str]) -> Item:
    """Return the fields beyond `known`; a null or an empty list says nothing."""
    return {key: value for key, value in holder.items() if key not in known and value is not None and value != []}
