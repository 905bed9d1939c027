"""Token data as vLLM gives it on chat completions, from a tokenisation simple enough to check by hand.

A text is its UTF-8 bytes, ids 0 to 255. Special ids, from 256, mark what a chat template marks: the role that begins a
message, its end, and the parts of tool calls and reasoning. An answer is tokenised as the same message is in the next
call's prompt. So that call's prompt ids begin with all ids of this one, if the client sends the message back unchanged.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nemo_gym.wire.json_object import JsonObject
from responses_api_models.scripted_model.asgi import RequestError
from responses_api_models.scripted_model.conversation import Item, chat_conversation, text_of

_SPECIAL = ("system", "developer", "user", "assistant", "tool", "end", "tools")
_SPECIAL_IN_ANSWERS = ("call", "arguments", "call_end", "reasoning", "reasoning_end")
SPECIAL_IDS = {name: number for number, name in enumerate((*_SPECIAL, *_SPECIAL_IN_ANSWERS), start=256)}
_NAMES = {number: f"<|{name}|>" for name, number in SPECIAL_IDS.items()}
_FIRST_MERGED_ID = 1_000
_MAX_MODEL_LEN = 131_072  # only reported: longer prompts are answered too


class TokenData(NamedTuple):
    """Token data of one model call.

    Attributes:
        prompt_ids: Ids of the whole prompt, up to the id that begins the answer, shape (num_prompt_tokens,).
        ids: Ids of the answer, its end included, shape (num_generated_tokens,).
        log_probs: Natural-log probability of each answer id, in [-2, 0), shape (num_generated_tokens,).
    """

    prompt_ids: list[int]
    ids: list[int]
    log_probs: list[float]


def is_wanted(request: Mapping[str, Any]) -> bool:
    """Tell whether a chat request asks for ids (`return_token_ids`) or log-probabilities (`logprobs`)."""
    return bool(request.get("return_token_ids") or request.get("logprobs"))


def token_data(request: Mapping[str, Any], message: Item, *, cut_off: bool) -> TokenData:
    """Return the token data of the answer `message` to a chat request; an answer that was cut off has no end id."""
    ids = _assistant_ids(message) + ([] if cut_off else [SPECIAL_IDS["end"]])
    log_probs = [_log_prob(token, position) for position, token in enumerate(ids)]
    return TokenData(prompt_ids(request["messages"], request.get("tools") or ()), ids, log_probs)


def prompt_ids(messages: Sequence[Item], tools: Sequence[Item], *, begin_answer: bool = True) -> list[int]:
    """Return the ids of chat messages, oldest first, after those of the names of the declared tools.

    Args:
        messages: Chat messages.
        tools: Declared tools, in the form of Chat Completions.
        begin_answer: End with the id that begins the assistant's answer.
    """
    ids: list[int] = []
    for tool in tools:
        ids += [SPECIAL_IDS["tools"], *_text_ids(_function(tool).get("name"))]
    for message in messages:
        role = message.get("role")
        ids.append(SPECIAL_IDS[role if role in _SPECIAL[:5] else "user"])
        ids += _assistant_ids(message) if role == "assistant" else _text_ids(text_of(message, ""))
        ids.append(SPECIAL_IDS["end"])
    return [*ids, SPECIAL_IDS["assistant"]] if begin_answer else ids


def tokenize(request: Mapping[str, Any]) -> JsonObject:
    """Answer `POST /tokenize`: the ids of `prompt`, or of `messages` and `tools` as a chat completion is given them.

    Raises:
        RequestError: There is neither a text as `prompt` nor a list of objects as `messages`.
    """
    prompt = request.get("prompt")
    if isinstance(prompt, str):
        ids = _text_ids(prompt)
    elif prompt is not None:
        raise RequestError("Invalid type for 'prompt': expected a text.", code="invalid_type", param="prompt")
    else:
        conversation = chat_conversation(request)
        begin_answer = request.get("add_generation_prompt") is not False
        ids = prompt_ids(conversation.items, conversation.tools, begin_answer=begin_answer)
    strings = [_shown(token) for token in ids] if request.get("return_token_strs") else None
    return {"count": len(ids), "max_model_len": _MAX_MODEL_LEN, "tokens": ids, "token_strs": strings}


def detokenize(request: Mapping[str, Any]) -> JsonObject:
    """Answer `POST /detokenize`: the text of `tokens`, with the names of special ids, as vLLM's route does.

    Raises:
        RequestError: `tokens` isn't a list of ids.
    """
    ids = request.get("tokens")
    if not isinstance(ids, list) or not all(type(token) is int and token >= 0 for token in ids):
        raise RequestError("Invalid type for 'tokens': expected a list of ids.", code="invalid_type", param="tokens")
    return {"prompt": b"".join(map(_bytes_of, ids)).decode("utf-8", "replace")}


def log_prob_entries(request: Mapping[str, Any], data: TokenData) -> list[JsonObject]:
    """Return `choices[].logprobs.content`; `top_logprobs`, when asked for, names the sampled token only."""
    as_ids, top = request.get("return_tokens_as_token_ids"), request.get("top_logprobs")
    entries = []
    for token, log_prob in zip(data.ids, data.log_probs, strict=True):
        text = _shown(token)
        raw = [token] if token < 256 else list(text.encode())
        entry = {"token": f"token_id:{token}" if as_ids else text, "logprob": log_prob, "bytes": raw}
        entries.append({**entry, "top_logprobs": [entry] if top else []})
    return entries


def retokenized(ids: Sequence[int]) -> list[int]:
    """Return prompt ids as if earlier answers were tokenised anew: the first two bytes of each become one id."""
    result: list[int] = []
    in_answer = False
    for token in ids:
        if in_answer and token < 256 and result[-1] < 256:
            result[-1] = _FIRST_MERGED_ID + 256 * result[-1] + token
            in_answer = False
            continue
        in_answer = token == SPECIAL_IDS["assistant"] or (in_answer and token != SPECIAL_IDS["end"])
        result.append(token)
    return result


def _assistant_ids(message: Item) -> list[int]:
    ids: list[int] = []
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if reasoning:
        ids += [SPECIAL_IDS["reasoning"], *_text_ids(reasoning), SPECIAL_IDS["reasoning_end"]]
    ids += _text_ids(text_of(message, "")) + _text_ids(message.get("refusal"))
    calls = message.get("tool_calls")
    for function in map(_function, calls if isinstance(calls, list) else ()):
        ids += [SPECIAL_IDS["call"], *_text_ids(function.get("name"))]
        ids += [SPECIAL_IDS["arguments"], *_text_ids(function.get("arguments")), SPECIAL_IDS["call_end"]]
    return ids


def _function(tool: Any) -> Mapping[str, Any]:
    """Return what a declared tool or a call says of its function; empty for whatever isn't one."""
    function = tool.get("function") if isinstance(tool, dict) else None
    return function if isinstance(function, dict) else {}


def _text_ids(text: Any) -> list[int]:
    return list(text.encode("utf-8", "replace")) if isinstance(text, str) else []


def _shown(token: int) -> str:
    return bytes([token]).decode("utf-8", "replace") if token < 256 else _NAMES[token]


def _bytes_of(token: int) -> bytes:
    if token < 256:
        return bytes([token])
    first, second = divmod(token - _FIRST_MERGED_ID, 256)
    if 0 <= first < 256:
        return bytes([first, second])
    return _NAMES.get(token, f"<|{token}|>").encode()


def _log_prob(token: int, position: int) -> float:
    return -((31 * token + 17 * position) % 997 + 1) / 499
