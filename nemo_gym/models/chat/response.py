"""A chat completion as a Response."""

import hashlib
from math import isfinite
from typing import Any, TypeGuard

from nemo_gym.models.chat.errors import ModelOutputError, shown
from nemo_gym.models.chat.options import DEFAULT_OPTIONS, ChatOptions
from nemo_gym.models.chat.output_items import output_items
from nemo_gym.models.chat.token_data import attach_token_data, token_data_of

_INCOMPLETE_REASON = {"length": "max_output_tokens", "content_filter": "content_filter"}
_UNLIKELY = -9999.0
"""What the API writes for minus infinity."""
_GIVEN_UP = frozenset({"abort", "error"})
"""Engines' own finish reasons for an answer that stopped where nobody wanted it to."""

# A Response repeats these of its request.
_ECHOED = (
    *("instructions", "metadata", "temperature", "top_p", "top_logprobs", "max_output_tokens", "text", "reasoning"),
    *("truncation", "user", "safety_identifier", "prompt_cache_key", "service_tier"),
)
RESPONSE_FIELDS = frozenset(
    {
        *_ECHOED,
        *("id", "object", "created_at", "model", "output", "status", "error", "incomplete_details", "usage", "tools"),
        *("tool_choice", "parallel_tool_calls", "access_programs", "background", "completed_at", "conversation"),
        *("image", "input_transformations", "max_tool_calls", "moderation", "previous_response_id", "prompt", "store"),
        *("prompt_cache_diagnostics", "prompt_cache_options", "prompt_cache_retention", "tool_usage"),
    }
)
"""What the API publishes of a Response. Everything else is an engine's own and passed on, in both directions."""
_NOT_PASSED_ON = RESPONSE_FIELDS | {
    *("created", "choices", "index", "message", "finish_reason", "logprobs"),
    # Token data is the model server's to attach.
    *("prompt_token_ids", "token_ids", "prompt_logprobs"),
}


def to_response(
    completion: Any, params: dict[str, Any] | None = None, options: ChatOptions = DEFAULT_OPTIONS
) -> dict[str, Any]:
    """Return the Response that says the same. The same completion always gives the same Response, ids included.

    Args:
        completion: The endpoint's answer, as decoded. It isn't changed; the result shares parts of it.
        params: The Responses create parameters it answers: a Response repeats some of them.
        options: How the endpoint writes reasoning.

    Returns:
        A Response as plain data. `created_at` is 0 and `usage` None where the endpoint says nothing usable. Token data
        that the message itself carries is on the last item; other engines' is attached with `attach_token_data`.

    Raises:
        ModelOutputError: The answer isn't a completion, has not exactly one choice, or isn't sound.
    """
    choice, message = _only_choice(completion)
    status, reason = _ending(choice.get("finish_reason"))
    core = core_of_id(completion.get("id"), "chatcmpl-", message)
    try:
        logprobs = _logprobs(choice.get("logprobs"))
        output = output_items(message, logprobs, core, options)
    except ModelOutputError as error:
        raise error.under("choices[0]" if error.path.startswith("logprobs") else "choices[0].message") from error
    if status == "incomplete":
        output[-1]["status"] = status
    if (data := token_data_of(message)) is not None:
        attach_token_data(output, data)
    params = params or {}
    model = completion.get("model")
    response: dict[str, Any] = {
        "id": f"resp_{core}",
        "created_at": seconds(completion.get("created")),
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": model if isinstance(model, str) else params.get("model") or "",
        "object": "response",
        "output": output,
        "parallel_tool_calls": params.get("parallel_tool_calls") is not False,
        "tool_choice": params.get("tool_choice") or "auto",
        "tools": [_echoed_tool(tool) for tool in params.get("tools") or []],
        "status": status,
        "usage": response_usage(completion.get("usage")),
    }
    response.update({key: params[key] for key in _ECHOED if params.get(key) is not None})
    if isinstance(tier := completion.get("service_tier"), str):
        response["service_tier"] = tier
    for holder in (choice, completion):
        response.update(
            {key: value for key, value in holder.items() if key not in _NOT_PASSED_ON and value is not None}
        )
    return response


def response_usage(usage: Any) -> dict[str, Any] | None:
    """Return a completion's token counts under their names in a Response; None where they aren't usable."""
    if not isinstance(usage, dict):
        return None
    given, total = usage.get("prompt_tokens"), usage.get("total_tokens")
    made = usage.get("completion_tokens")
    if not is_count(made) and is_count(given) and is_count(total):
        made = total - given
    if not is_count(given) or not is_count(made):
        return None
    return {
        "input_tokens": given,
        "input_tokens_details": _counts(usage.get("prompt_tokens_details"), "cached_tokens", "cache_write_tokens"),
        "output_tokens": made,
        "output_tokens_details": _counts(usage.get("completion_tokens_details"), "reasoning_tokens"),
        "total_tokens": total if is_count(total) else given + made,
    }


def _counts(details: Any, *required: str) -> dict[str, Any]:
    given = details if isinstance(details, dict) else {}
    counts = {key: value for key, value in given.items() if is_count(value)}
    return {**dict.fromkeys(required, 0), **counts}


def _only_choice(completion: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(completion, dict):
        raise ModelOutputError("completion", f"should be an object, not {type(completion).__name__}")
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices:
        raise ModelOutputError("choices", f"the completion has none; its error is {error_text(completion)}")
    if completion.get("error"):
        raise ModelOutputError("error", f"the endpoint says {error_text(completion)}")
    if len(choices) > 1:
        raise ModelOutputError("choices", f"a Response is one answer, not {len(choices)}: leave `n` out")
    message = choices[0].get("message") if isinstance(choices[0], dict) else None
    if not isinstance(message, dict):
        raise ModelOutputError("choices[0].message", f"should be an object, not {type(message).__name__}")
    return choices[0], message


def _ending(finish_reason: Any) -> tuple[str, str | None]:
    if finish_reason is not None and not isinstance(finish_reason, str):
        raise ModelOutputError("choices[0].finish_reason", f"should be text, not {type(finish_reason).__name__}")
    if finish_reason in _GIVEN_UP:
        raise ModelOutputError("choices[0].finish_reason", f"the engine gave the answer up: {finish_reason!r}")
    reason = _INCOMPLETE_REASON.get(finish_reason or "")
    return ("incomplete", reason) if reason else ("completed", None)


def core_of_id(answer_id: Any, prefix: str, said: Any) -> str:
    """Return what is special about the id of an answer; of one without an id, a digest of what it says."""
    if isinstance(answer_id, str) and answer_id:
        return answer_id.removeprefix(prefix)
    try:
        return hashlib.blake2b(repr(said).encode(errors="backslashreplace"), digest_size=16).hexdigest()
    except RecursionError as error:
        raise ModelOutputError("id", "is missing, and the answer is nested too deeply to make one of it") from error


def error_text(answer: dict[str, Any]) -> str:
    """Return what an answer says in its `error`, in the forms that endpoints write it."""
    said = answer.get("error") or answer.get("message")
    return shown(said.get("message") if isinstance(said, dict) else said, 500)


def is_count(value: Any) -> TypeGuard[int]:
    """Whether a number of tokens can be true, and be written as JSON by every program."""
    return type(value) is int and 0 <= value < 2**53


def seconds(value: Any) -> float:
    """Return a time since 1970; 0 for anything that isn't one."""
    return value if type(value) in (int, float) and 0 <= value < 1e12 else 0


def _logprobs(logprobs: Any) -> list[dict[str, Any]]:
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else logprobs
    if not isinstance(tokens or [], list):
        raise ModelOutputError("logprobs.content", f"should be a list, not {type(tokens).__name__}")
    try:
        return [_logprob(token, with_top=True) for token in tokens or []]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelOutputError("logprobs.content", f"a token needs `token` and `logprob`: {error!r}") from error


def _logprob(token: dict[str, Any], *, with_top: bool = False) -> dict[str, Any]:
    """Return what a Response has of a token; an engine may leave out its bytes and the other candidates."""
    text, given = token["token"], token.get("bytes")
    if not isinstance(text, str):
        raise TypeError(f"token is {type(text).__name__}")
    encoded = text.encode(errors="replace") if given is None else bytes([*given])  # as a check: each is 0 to 255
    logprob = float(token["logprob"])
    found = {"token": text, "bytes": list(encoded), "logprob": logprob if isfinite(logprob) else _UNLIKELY}
    if with_top:
        found["top_logprobs"] = [_logprob(other) for other in token.get("top_logprobs") or []]
    return found


def _echoed_tool(tool: Any) -> Any:
    """A Response's function tools must say both; requests may leave them out."""
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return tool
    return {"parameters": None, "strict": None, **tool}
