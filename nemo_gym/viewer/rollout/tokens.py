"""The token view: each model call's generated tokens with their log-probabilities, and where a prefix breaks."""

from typing import Any

from pydantic import BaseModel

from nemo_gym.viewer.rollout.conversation import raw_items

MAX_TOKENS = 2_000


class TokenCall(BaseModel):
    """One model call.

    Attributes:
        item: Index of the last item that it made, among all items of the rollout.
        prompt_tokens: Length of its prompt.
        added_tokens: What the prompt has beyond everything before it: tool results, messages, the template's own.
        breaks_at: Position from which on the prompt isn't what the calls before it say; None: it begins with them.
        ids, log_probs: A stretch of at most 2,000 generated tokens; natural logarithms.
        generated_tokens: How many there are.
    """

    call: int
    item: int
    prompt_tokens: int
    added_tokens: int
    breaks_at: int | None
    ids: list[int]
    log_probs: list[float | None]
    generated_tokens: int


def token_calls(row: dict[str, Any], offset: int = 0, only_call: int | None = None) -> list[TokenCall]:
    """Return the calls that have token data, each with the tokens from `offset` on.

    Args:
        only_call: Return this one alone; counted from 0.
    """
    prompt, output = raw_items(row)
    calls: list[TokenCall] = []
    before: list[Any] = []
    last: tuple[Any, Any] | None = None
    for place, item in enumerate(output):
        if not isinstance(item, dict) or "generation_token_ids" not in item:
            last = None if _ends_call(item) else last
            continue
        asked, made = _ids(item.get("prompt_token_ids")), _ids(item["generation_token_ids"])
        if last == (asked, made):  # a call's lists may be on each of its items
            calls[-1].item = len(prompt) + place
            continue
        last = (asked, made)
        breaks_at = _first_difference(before, asked)
        calls.append(
            TokenCall(
                call=len(calls),
                item=len(prompt) + place,
                prompt_tokens=len(asked),
                added_tokens=max(0, len(asked) - len(before)),
                breaks_at=breaks_at,
                ids=made[offset : offset + MAX_TOKENS],
                log_probs=_log_probs(item.get("generation_log_probs"))[offset : offset + MAX_TOKENS],
                generated_tokens=len(made),
            )
        )
        before = asked + made
    return calls if only_call is None else calls[only_call : only_call + 1]


def _ends_call(item: Any) -> bool:
    return not isinstance(item, dict) or item.get("type") == "function_call_output" or item.get("role") == "user"


def _first_difference(before: list[Any], prompt: list[Any]) -> int | None:
    if prompt[: len(before)] == before:
        return None
    return next(
        (i for i, (a, b) in enumerate(zip(before, prompt, strict=False)) if a != b), min(len(before), len(prompt))
    )


def _ids(value: Any) -> list[int]:
    return [one if isinstance(one, int) else -1 for one in value] if isinstance(value, list) else []


def _log_probs(value: Any) -> list[float | None]:
    if not isinstance(value, list):
        return []
    return [float(one) if isinstance(one, int | float) and not isinstance(one, bool) else None for one in value]
