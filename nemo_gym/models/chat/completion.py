"""A Response as a chat completion: for an endpoint that speaks only the Responses API and is asked in Chat's."""

from typing import Any

from nemo_gym.models.chat.errors import ModelOutputError, shown
from nemo_gym.models.chat.options import DEFAULT_OPTIONS, ChatOptions
from nemo_gym.models.chat.response import RESPONSE_FIELDS, core_of_id, error_text, is_count, seconds
from nemo_gym.models.chat.think import as_think_blocks
from nemo_gym.models.chat.token_data import CALL_FIELDS, token_data_of

_FINISH_BY_REASON = {"max_output_tokens": "length", "content_filter": "content_filter"}
_LABELS = frozenset({"type", "id", "status", *CALL_FIELDS})
_MESSAGE_KEYS = _LABELS | {"role", "content"}
_CALL_KEYS = _LABELS | {"call_id", "name", "arguments", "input"}


def to_completion(response: Any, options: ChatOptions = DEFAULT_OPTIONS) -> dict[str, Any]:
    """Return the chat completion that says the same, with one choice. The ids come from the Response's.

    Args:
        response: The answer of one model call, as decoded. It isn't changed; the result shares parts of it.
        options: Of these, only `reasoning` counts: where the reasoning is written.

    Raises:
        ModelOutputError: The answer isn't a Response, says that it failed or isn't finished, or has an item or an
            annotation that Chat can't express (calls of built-in tools, tool results); with its path.
    """
    items = _items(response)
    answer = _Answer()
    for index, item in enumerate(items):
        try:
            answer.add(item)
        except ModelOutputError as error:
            raise error.under(f"output[{index}]") from None
    message = answer.message(options)
    data = next((data for item in reversed(items) if (data := token_data_of(item)) is not None), None)
    if data is not None:
        message.update(data.fields())
    details = response.get("incomplete_details")
    reason = _FINISH_BY_REASON.get(str(details.get("reason"))) if isinstance(details, dict) else None
    choice = {
        "finish_reason": reason or ("tool_calls" if answer.calls else "stop"),
        "index": 0,
        "logprobs": {"content": answer.logprobs, "refusal": None} if answer.logprobs else None,
        "message": message,
    }
    completion = {
        "id": f"chatcmpl-{core_of_id(response.get('id'), 'resp_', items)}",
        "choices": [choice],
        "created": int(seconds(response.get("created_at"))),
        "model": model if isinstance(model := response.get("model"), str) else "",
        "object": "chat.completion",
        "usage": completion_usage(response.get("usage")),
    }
    completion.update({key: response[key] for key in ("metadata", "service_tier") if response.get(key) is not None})
    return completion | {key: value for key, value in response.items() if key not in RESPONSE_FIELDS}


def completion_usage(usage: Any) -> dict[str, Any] | None:
    """Return a Response's token counts under their names in a completion; None where they aren't usable."""
    names = ("input_tokens", "output_tokens", "total_tokens")
    if not isinstance(usage, dict) or not all(is_count(usage.get(name)) for name in names):
        return None
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
        "prompt_tokens_details": usage.get("input_tokens_details"),
        "completion_tokens_details": usage.get("output_tokens_details"),
    }


def _items(response: Any) -> list[Any]:
    items = response.get("output") if isinstance(response, dict) else None
    if not isinstance(items, list):
        raise ModelOutputError("output", f"a Response has a list of items here, not {type(items).__name__}")
    if response.get("error") or response.get("status") not in (None, "completed", "incomplete"):
        raise ModelOutputError("status", f"is {shown(response.get('status'))}, with the error {error_text(response)}")
    return items


class _Answer:
    """One assistant message, collected from items: Chat has one text, and one order of what is around it."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.logprobs: list[Any] = []
        self._thoughts: list[str] = []
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._annotations: list[dict[str, Any]] = []
        self._extras: dict[str, Any] = {}

    def add(self, item: Any) -> None:
        kind = item.get("type") if isinstance(item, dict) else None
        try:
            if kind == "message":
                self._add_message(item)
            elif kind == "reasoning":
                self._thoughts += [_text(part, "text") for part in item.get("content") or item.get("summary") or []]
            elif kind == "function_call":
                function = {"name": _text(item, "name"), "arguments": _text(item, "arguments")}
                self._add_call(item, {"function": function, "type": "function"})
            elif kind == "custom_tool_call":
                self._add_call(
                    item, {"custom": {"name": _text(item, "name"), "input": _text(item, "input")}, "type": "custom"}
                )
            else:
                raise ModelOutputError("", f"an item of type {shown(kind)} has no place in a chat completion")
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelOutputError("", f"isn't a sound item of type {shown(kind)}: {error!r}") from error

    def message(self, options: ChatOptions) -> dict[str, Any]:
        content = "".join(self._texts) if self._texts else None
        message: dict[str, Any] = {"role": "assistant", "refusal": "".join(self._refusals) or None}
        if self._thoughts and options.reasoning == "think_tags":
            content = as_think_blocks(self._thoughts) + (content or "")
        elif self._thoughts and options.reasoning != "drop":
            message[options.reasoning] = "\n".join(self._thoughts)
        message["content"] = content
        if self.calls:
            message["tool_calls"] = self.calls
        if self._annotations:
            message["annotations"] = self._annotations
        return {**self._extras, **message}

    def _add_message(self, item: dict[str, Any]) -> None:
        content = item.get("content")
        if isinstance(content, str):
            content = [{"type": "output_text", "text": content}]
        for index, part in enumerate(content or []):
            if part["type"] == "output_text":
                self._add_text(part, f"content[{index}]")
            elif part["type"] == "refusal":
                self._refusals.append(_text(part, "refusal"))
            else:
                raise ModelOutputError(f"content[{index}]", f"a part of type {shown(part['type'])} isn't the model's")
        self._extras.update({key: value for key, value in item.items() if key not in _MESSAGE_KEYS})

    def _add_text(self, part: dict[str, Any], path: str) -> None:
        before = sum(map(len, self._texts))
        for annotation in part.get("annotations") or []:
            if annotation["type"] != "url_citation":
                raise ModelOutputError(f"{path}.annotations", f"Chat has no annotation {shown(annotation['type'])}")
            citation = {key: value for key, value in annotation.items() if key != "type"}
            # Citations point into their own part, and the parts become one text.
            citation.update(start_index=citation["start_index"] + before, end_index=citation["end_index"] + before)
            self._annotations.append({"type": "url_citation", "url_citation": citation})
        self.logprobs += part.get("logprobs") or []
        self._texts.append(_text(part, "text"))

    def _add_call(self, item: dict[str, Any], call: dict[str, Any]) -> None:
        extras = {key: value for key, value in item.items() if key not in _CALL_KEYS and value is not None}
        self.calls.append({**extras, "id": _text(item, "call_id"), **call})


def _text(holder: dict[str, Any], key: str) -> str:
    value = holder[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is {type(value).__name__}")
    return value
