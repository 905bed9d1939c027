"""The token view: each model call's generated tokens with texts and log-probabilities, and where a prefix breaks."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from nemo_gym.viewer.rollout.conversation import as_log_prob, raw_items, token_texts
from nemo_gym.viewer.rollout.tokenizer import Tokenizer

MAX_TOKENS = 2_000
_AROUND_BREAK = 8
_SAME_LOG_PROB = 1e-4


class PrefixBreak(BaseModel):
    """Where a prompt isn't what the calls before it say: up to eight tokens from there on, as texts or else as ids."""

    position: int
    expected: list[str]
    found: list[str]


class TokenCall(BaseModel):
    """One model call.

    Attributes:
        item: Index of the last item that it made, among all items of the rollout.
        prompt_tokens: Length of its prompt; None where the row has no ids.
        added_tokens: What the prompt has beyond everything before it: tool results, messages, the template's own.
        prefix_break: None: the prompt begins with all that was before it.
        ids, texts, log_probs: A stretch of at most 2,000 generated tokens; natural logarithms; None: not known.
        generated_tokens: How many there are.
    """

    call: int
    item: int
    prompt_tokens: int | None
    added_tokens: int
    prefix_break: PrefixBreak | None
    ids: list[int | None]
    texts: list[str | None]
    log_probs: list[float | None]
    generated_tokens: int


def token_calls(
    row: dict[str, Any], tokenizer: Tokenizer | None = None, *, offset: int = 0, only_call: int | None = None
) -> list[TokenCall]:
    """Return the calls that have tokens, each with those from `offset` on.

    Args:
        tokenizer: For the texts of ids; without one they are known where the model server gave them.
        only_call: Return this one alone; counted from 0.
    """
    prompt, output = raw_items(row)
    calls: list[TokenCall] = []
    before: list[int] = []
    for number, made in enumerate(_made_by_call(output, len(prompt))):
        if only_call is None or number == only_call:
            calls.append(_shown(number, made, before, tokenizer, offset))
        before = made.prompt + made.ids
    return calls


@dataclass
class _Made:
    """What a model call made. `told`: texts and log-probabilities as the endpoint gave them, beside the text."""

    item: int
    prompt: list[int]
    ids: list[int]
    log_probs: list[float | None]
    told: list[tuple[str, float | None]] = field(default_factory=list)

    def belongs_to(self, last: "_Made") -> bool:
        return not last.ids or (last.prompt, last.ids) == (self.prompt, self.ids)

    def texts(self, tokenizer: Tokenizer | None, start: int, stop: int) -> list[str | None]:
        if not self.ids:
            return [text for text, _ in self.told[start:stop]]
        if tokenizer is not None:
            return list(tokenizer.texts(self.ids, start, stop))
        texts: list[str | None] = [None] * len(self.ids)
        place = self._place_of_told()
        if place is not None:
            texts[place : place + len(self.told)] = [text for text, _ in self.told]
        return texts[start:stop]

    def _place_of_told(self) -> int | None:
        """Return where the told tokens begin: reasoning, tool calls and the end of the message aren't told."""
        n = len(self.told)
        places = range(len(self.ids) - n, -1, -1) if n else ()
        return next((place for place in places if self._agree(place)), None)

    def _agree(self, place: int) -> bool:
        pairs = zip(self.log_probs[place:], self.told, strict=False)
        return len(self.log_probs) == len(self.ids) and all(
            ours is not None and told is not None and abs(ours - told) < _SAME_LOG_PROB for ours, (_, told) in pairs
        )


def _made_by_call(output: list[Any], first: int) -> list[_Made]:
    calls: list[_Made] = []
    is_open = False
    for place, item in enumerate(output, start=first):
        if not isinstance(item, dict) or item.get("type") == "function_call_output" or item.get("role") == "user":
            is_open = False
            continue
        ids, log_probs = _ids(item.get("generation_token_ids")), _log_probs(item.get("generation_log_probs"))
        made = _Made(place, _ids(item.get("prompt_token_ids")), ids, log_probs, token_texts(item))
        if is_open and made.belongs_to(calls[-1]):
            made.told = calls[-1].told + made.told
            calls[-1] = made
        else:
            calls.append(made)
        is_open = True
    return [call for call in calls if call.ids or call.told]


def _shown(number: int, made: _Made, before: list[int], tokenizer: Tokenizer | None, offset: int) -> TokenCall:
    stop = offset + MAX_TOKENS
    ids: list[int | None] = list(made.ids) if made.ids else [None] * len(made.told)
    log_probs = made.log_probs if made.ids else [log_prob for _, log_prob in made.told]
    return TokenCall(
        call=number,
        item=made.item,
        prompt_tokens=len(made.prompt) if made.ids else None,
        added_tokens=max(0, len(made.prompt) - len(before)),
        prefix_break=_prefix_break(before, made.prompt, tokenizer) if made.ids else None,
        ids=ids[offset:stop],
        texts=made.texts(tokenizer, offset, stop),
        log_probs=log_probs[offset:stop],
        generated_tokens=len(ids),
    )


def _prefix_break(before: list[int], prompt: list[int], tokenizer: Tokenizer | None) -> PrefixBreak | None:
    if prompt[: len(before)] == before:
        return None
    pairs = enumerate(zip(before, prompt, strict=False))
    position = next((i for i, (a, b) in pairs if a != b), min(len(before), len(prompt)))
    expected, found = (_readable(ids, position, tokenizer) for ids in (before, prompt))
    return PrefixBreak(position=position, expected=expected, found=found)


def _readable(ids: list[int], position: int, tokenizer: Tokenizer | None) -> list[str]:
    stop = position + _AROUND_BREAK
    return list(map(str, ids[position:stop])) if tokenizer is None else tokenizer.texts(ids, position, stop)


def _ids(value: Any) -> list[int]:
    return [one if isinstance(one, int) else -1 for one in value] if isinstance(value, list) else []


def _log_probs(value: Any) -> list[float | None]:
    return [as_log_prob(one) for one in value] if isinstance(value, list) else []
