"""What is asked of the engine and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nemo_gym.wire.json_object import JsonObject

ChatMessage = dict[str, str]
"""One message for the chat template: `role` (system, user, assistant, tool) and `content`."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: 0 takes the likeliest token every time; up to 2.
        top_p: Probability mass that is drawn from, 0 to 1.
        seed: Same seed, same request, same answer; None draws one.
        max_tokens: Limit of generated tokens, >= 1.
        stop: Texts before which generation ends.
    """

    temperature: float
    top_p: float
    seed: int | None
    max_tokens: int
    stop: Sequence[str] = ()


@dataclass(frozen=True)
class GenerationRequest:
    """One generation.

    Attributes:
        prompt_ids: What the model is given, shape (num_prompt_tokens,).
        json_schema: The text must be a JSON document of this schema; None leaves it free.
        logit_bias_by_text: Added to the logit of every token of the text (nats).
        num_top_log_probs: Likeliest tokens to report at each position; 0 still reports the sampled one.
        wants_log_probs: Whether `Generation.log_probs` is wanted.
    """

    prompt_ids: Sequence[int]
    sampling: Sampling
    json_schema: Mapping[str, Any] | None = None
    logit_bias_by_text: Mapping[str, float] = field(default_factory=dict)
    num_top_log_probs: int = 0
    wants_log_probs: bool = False


@dataclass(frozen=True)
class Generation:
    """What was generated.

    Attributes:
        finish_reason: `stop` when the model ended by itself, `length` when a limit ended it.
        token_ids: Sampled ids, the end token included where it was sampled, shape (num_generated_tokens,).
        log_probs: Natural log of each one's probability, before temperature, grammar and biases; None where the engine
            gives none. Empty unless wanted.
        text_tokens: What llama.cpp says of the tokens that make the text: `token`, `logprob`, `bytes`, `top_logprobs`.
            A character of several tokens is one of them.
        cached_tokens: Tokens of the prompt whose state was still there from an earlier request.
    """

    text: str
    finish_reason: Literal["stop", "length"]
    token_ids: list[int]
    log_probs: list[float | None]
    text_tokens: list[JsonObject]
    cached_tokens: int


class ContextOverflowError(Exception):
    """The prompt does not fit the context of a slot."""


class RefusedRequestError(Exception):
    """The engine cannot do what was asked, e.g. a JSON schema with a keyword it does not know."""


class EngineError(Exception):
    """The engine failed on a request that it should have answered."""
