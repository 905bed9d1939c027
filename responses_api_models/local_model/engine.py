"""The engine: the native server's blocking calls, awaited. Cancelling an await ends the generation behind it."""

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, Literal, TypeVar

from responses_api_models.local_model.generation import EngineError, Generation, GenerationRequest
from responses_api_models.local_model.native_server import Chunk, NativeServer, NativeSettings, token_grammar

T = TypeVar("T")

_RANDOM_SEED = 0xFFFFFFFF  # llama.cpp draws one
_COMPACT_JSON = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Engine:
    """A loaded model with `num_slots` generations at a time; further ones wait in order of arrival."""

    def __init__(self, native: NativeServer, num_slots: int) -> None:
        self._native = native
        self._threads = ThreadPoolExecutor(num_slots, thread_name_prefix="llama")
        self._stopping = Event()

    @classmethod
    async def load(cls, settings: NativeSettings) -> "Engine":
        """Load the model without blocking the event loop.

        Raises:
            EngineError: llama.cpp cannot load the file.
        """
        return cls(await asyncio.to_thread(NativeServer, settings), settings.num_slots)

    async def close(self) -> None:
        """End what is being generated and free the model. Afterwards nothing may be asked."""
        self._stopping.set()
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._native.close)

    async def generate(self, request: GenerationRequest) -> Generation:
        """Continue a conversation.

        Raises:
            ContextOverflowError: The conversation is longer than the context of a slot.
            RefusedRequestError: llama.cpp does not understand the JSON schema or the messages.
            EngineError: The engine failed.
        """
        return await self._in_slot(lambda cancelled: _collect(self._native, _chat_body(request), cancelled))

    async def log_prob(self, prompt: str, continuation: str, *, max_tokens: int) -> float:
        """Return the natural log of the probability that the model continues `prompt` with `continuation`.

        Args:
            prompt: Plain text; no chat template is applied.
            continuation: The text to measure; only its last `max_tokens` tokens count, so that two values for one
                continuation can be compared.
            max_tokens: Limit of measured tokens, >= 1.

        Raises:
            ContextOverflowError: Prompt and continuation are longer than the context of a slot.
            EngineError: The engine failed.
        """
        return await self._in_slot(lambda _: _log_prob(self._native, prompt, continuation, max_tokens))

    async def _in_slot(self, work: Callable[[Callable[[], bool]], T]) -> T:
        cancelled = Event()

        def is_cancelled() -> bool:
            return cancelled.is_set() or self._stopping.is_set()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, is_cancelled)
        finally:
            cancelled.set()  # a thread cannot be cancelled: it sees this at the next token and frees its slot


def _chat_body(request: GenerationRequest) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {
        "messages": list(request.messages),
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        # llama.cpp's defaults would cut the distribution further than was asked.
        "top_k": 0,
        "min_p": 0.0,
        "seed": _RANDOM_SEED if sampling.seed is None else sampling.seed % _RANDOM_SEED,
        "stop": list(sampling.stop),
        "stream_options": {"include_usage": True},
    }
    if request.json_schema is not None:
        body["grammar"] = _json_grammar(request.json_schema)
    if request.logit_bias_by_text:
        body["logit_bias"] = [[text, bias] for text, bias in request.logit_bias_by_text.items()]
    return body


def _json_grammar(schema: Mapping[str, Any]) -> str:
    # The server's own `json_schema` allows any white space, and small models lose themselves in it.
    return "%llguidance {}\nstart: %json " + json.dumps({"x-guidance": _COMPACT_JSON, **schema})


def _collect(native: NativeServer, body: Mapping[str, Any], cancelled: Callable[[], bool]) -> Generation:
    pieces: list[str] = []
    finish_reason: Literal["stop", "length"] = "stop"
    usage: Mapping[str, Any] = {}

    def receive(chunk: Chunk) -> bool:
        nonlocal finish_reason, usage
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            pieces.append(choice["delta"].get("content") or "")
            if choice["finish_reason"] == "length":
                finish_reason = "length"
        return cancelled()

    native.chat(body, receive)
    if not usage:
        raise EngineError("the generation was ended before it was complete")
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    return Generation("".join(pieces), finish_reason, usage["prompt_tokens"], cached, usage["completion_tokens"])


def _log_prob(native: NativeServer, prompt: str, continuation: str, max_tokens: int) -> float:
    tokens = native.tokenize(continuation)
    measured = tokens[-max_tokens:]
    if not measured:
        return 0.0
    # The server tells no probabilities of prompt tokens. So it generates: a grammar leaves it no choice, and what it
    # reports for each token is the probability before the grammar was applied.
    body = {
        "prompt": native.tokenize(prompt) + tokens[:-max_tokens],
        "grammar": token_grammar(measured),
        "max_tokens": len(measured),
        "temperature": 0.0,
        "logprobs": 1,
    }
    chosen = native.complete(body)["choices"][0]["logprobs"]["content"]
    if [entry["id"] for entry in chosen] != measured:
        raise EngineError("llama.cpp left the grammar that should have forced its tokens")
    return float(sum(entry["logprob"] for entry in chosen))
