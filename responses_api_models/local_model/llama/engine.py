"""The engine: what llama.cpp's server does for one model, in terms of token ids."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nemo_gym.wire.json_object import JsonObject
from responses_api_models.local_model.llama.generation import ChatMessage, EngineError, Generation, GenerationRequest
from responses_api_models.local_model.llama.native_client import NativeClient
from responses_api_models.local_model.llama.native_server import NativeServer, NativeSettings
from responses_api_models.local_model.llama.token_log_probs import aligned_log_probs

_RANDOM_SEED = 0xFFFFFFFF  # llama.cpp draws one
_COMPACT_JSON = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_CERTAIN_NATS = 1000.0
_NUM_CANDIDATES = (100, 2**20)
"""Most sampled tokens are among the first; the second is every vocabulary, and takes seconds."""


class Engine:
    """A loaded model with `num_slots` generations at a time; further ones wait in order of arrival.

    Attributes:
        client: The native server's routes.
        turn_end: Id of the special token that the chat template writes after an answer; None if it writes none, or
            before it was looked for.
    """

    def __init__(self, native: NativeServer, num_slots: int) -> None:
        self._native = native
        self.client = NativeClient(native.url, native.key)
        self.turn_end: int | None = None
        self._slots = asyncio.Semaphore(num_slots)

    @classmethod
    async def load(cls, settings: NativeSettings) -> "Engine":
        """Load the model without blocking the event loop.

        Raises:
            EngineError: llama.cpp cannot load the file.
        """
        return cls(await asyncio.to_thread(NativeServer, settings), settings.num_slots)

    async def close(self) -> None:
        """End what is being generated and free the model. Afterwards nothing may be asked."""
        await self.client.close()
        await asyncio.to_thread(self._native.close)

    async def render(self, messages: Sequence[ChatMessage]) -> str:
        """Return the messages as the chat template writes them, up to where the answer begins.

        Raises:
            RefusedRequestError: The template refuses them.
            EngineError: The engine failed.
        """
        return str((await self.client.post("/apply-template", {"messages": list(messages)}))["prompt"])

    async def tokenize(self, text: str, *, begins_document: bool = False, parse_special: bool = True) -> list[int]:
        """Return the token ids of `text`.

        Args:
            begins_document: Put the token first that begins a document, if the model has one.
            parse_special: `<|im_end|>` and the like are the model's special tokens, not text.
        """
        body = {"content": text, "add_special": begins_document, "parse_special": parse_special}
        return [int(token) for token in (await self.client.post("/tokenize", body))["tokens"]]

    async def generate(self, request: GenerationRequest) -> Generation:
        """Continue a prompt.

        Raises:
            ContextOverflowError: The prompt is longer than the context of a slot.
            RefusedRequestError: llama.cpp does not understand the JSON schema, or the ids are not the model's.
            EngineError: The engine failed.
        """
        async with self._slots:
            answer = await self.client.post("/completion", _completion_body(request, self.turn_end))
            ids, text_tokens = answer["tokens"], answer.get("completion_probabilities") or []
            log_probs = aligned_log_probs(ids, text_tokens) if request.wants_log_probs else []
            for index, log_prob in enumerate(log_probs):
                if log_prob is None:
                    log_probs[index] = await self._measured([*request.prompt_ids, *ids[:index]], ids[index])
        return Generation(
            text=answer["content"],
            finish_reason="length" if answer["stop_type"] == "limit" else "stop",
            token_ids=ids,
            log_probs=log_probs,
            text_tokens=text_tokens,
            cached_tokens=answer["timings"]["cache_n"],
        )

    async def log_prob(self, prompt: str, continuation: str, *, max_tokens: int) -> float:
        """Return the natural log of the probability that the model continues `prompt` with `continuation`.

        Args:
            prompt: Plain text; no chat template is applied.
            continuation: The text to measure, without characters that the model writes with several tokens (emoji);
                only its last `max_tokens` tokens count, so that two values for one continuation can be compared.
            max_tokens: Limit of measured tokens, >= 1.

        Raises:
            ContextOverflowError: Prompt and continuation are longer than the context of a slot.
            EngineError: The engine failed.
        """
        tokens = await self._whole_character_tokens(continuation)
        measured = tokens[-max_tokens:]
        if not measured:
            return 0.0
        # The server tells no probabilities of prompt tokens. So it generates: a grammar leaves it no choice, and what
        # it reports for each token is the probability before the grammar was applied.
        body = {
            "prompt": await self.tokenize(prompt, parse_special=False) + tokens[:-max_tokens],
            "grammar": _token_grammar(measured),
            "n_predict": len(measured),
            "temperature": 0.0,
            "n_probs": 1,
        }
        async with self._slots:
            chosen = (await self.client.post("/completion", body))["completion_probabilities"]
        if [entry["id"] for entry in chosen] != measured:
            raise EngineError("llama.cpp left the grammar that should have forced its tokens")
        return float(sum(entry["logprob"] for entry in chosen))

    async def _measured(self, prefix_ids: list[int], token_id: int) -> float | None:
        """Return the log-probability of a token after the prefix; None when the engine doesn't tell it."""
        for num_candidates in _NUM_CANDIDATES:
            body = {
                "prompt": prefix_ids,
                "n_predict": 1,
                "n_probs": num_candidates,
                # Of a token that ends inside a character nothing is reported. So another one is taken; what is
                # reported for all of them is from before the bias.
                "logit_bias": [["a", _CERTAIN_NATS]],
            }
            reported = (await self.client.post("/completion", body)).get("completion_probabilities")
            for candidate in reported[0]["top_logprobs"] if reported else []:
                if candidate["id"] == token_id:
                    value: float | None = candidate["logprob"]  # null is NaN
                    return value
        return None

    async def _whole_character_tokens(self, text: str) -> list[int]:
        body = {"content": text, "add_special": False, "parse_special": False, "with_pieces": True}
        tokens = (await self.client.post("/tokenize", body))["tokens"]
        # A piece that isn't text comes as bytes. llama.cpp's grammars can't force such a token.
        return [token["id"] for token in tokens if isinstance(token["piece"], str)]


def _completion_body(request: GenerationRequest, turn_end: int | None) -> JsonObject:
    sampling = request.sampling
    body: JsonObject = {
        "prompt": list(request.prompt_ids),
        "n_predict": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        # llama.cpp's defaults would cut the distribution further than was asked.
        "top_k": 0,
        "min_p": 0.0,
        "seed": _RANDOM_SEED if sampling.seed is None else sampling.seed % _RANDOM_SEED,
        "stop": list(sampling.stop),
        "return_tokens": True,
        "n_probs": max(request.num_top_log_probs, int(request.wants_log_probs)),
    }
    if request.json_schema is not None:
        body["grammar"] = _json_grammar(request.json_schema, turn_end)
    if request.logit_bias_by_text:
        body["logit_bias"] = [[text, bias] for text, bias in request.logit_bias_by_text.items()]
    return body


def _json_grammar(schema: Mapping[str, Any], turn_end: int | None) -> str:
    # The server's own `json_schema` allows any white space, and small models lose themselves in it.
    text = "%json " + json.dumps({"x-guidance": _COMPACT_JSON, **schema})
    # Left to itself the grammar ends with what llama.cpp takes for the end of a document, which models never say here.
    end = "" if turn_end is None else f" <[{turn_end}]>"
    return f"%llguidance {{}}\nstart: text{end}\ntext: {text}"


def _token_grammar(token_ids: Sequence[int]) -> str:
    """Return the GBNF grammar that allows exactly this sequence of tokens."""
    return "root ::= " + " ".join(f"<[{token_id}]>" for token_id in token_ids)
