"""Items with token data: what a trainer needs of each model call, attached to the item that the call made."""

from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from nemo_gym.wire.openai.responses_items import (
    NeMoGymEasyInputMessage,
    NeMoGymMessage,
    NeMoGymResponseFunctionToolCall,
    NeMoGymResponseOutputMessage,
    NeMoGymResponseReasoningItem,
)
from nemo_gym.wire.token_arrays import is_array_mark


@dataclass(frozen=True)
class NumberPerToken:
    """Annotation of a list field whose elements are checked, and which is not copied.

    Validation and `model_dump()` hand on the very list object; only JSON output walks through it. For 65,536 tokens
    pydantic's own list handling costs about 4 ms per list and dump, this about 1 ms per list.
    """

    element: Literal["integer", "number"]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # pydantic's `any` serializer copies lists also in Python mode. `to_string` that is used for JSON only is the
        # one serializer that returns the object itself in Python mode; the outer one takes over for JSON.
        kept = core_schema.any_schema(serialization=core_schema.to_string_ser_schema(when_used="json"))
        as_json = core_schema.plain_serializer_function_ser_schema(_unchanged, when_used="json")
        return core_schema.no_info_after_validator_function(self._check, kept, serialization=as_json)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "array", "items": {"type": self.element}}

    def _check(self, value: object) -> object:
        if not isinstance(value, list):
            raise ValueError(f"should be a list with one number for each token, not {type(value).__name__}")
        classes = set(map(type, value))
        is_right = classes <= {int} or (self.element == "number" and classes <= {int, float} and isfinite(sum(value)))
        if not is_right and not is_array_mark(value):
            wanted = "integers" if self.element == "integer" else "finite numbers"
            raise ValueError(f"should hold {wanted}, one for each token")
        return value


def _unchanged(value: object) -> object:
    return value


TokenIDs = Annotated[list[int], NumberPerToken("integer")]
"""Token ids of the model's vocabulary, shape (num_tokens,)."""

TokenLogProbs = Annotated[list[float], NumberPerToken("number")]
"""Natural-log probabilities, shape (num_tokens,), each <= 0."""


def _is_absent(value: object) -> bool:
    return value is None


class TokenIDLogProbMixin(BaseModel):
    """Token data of the model call that made this item. The lists are handed on by reference.

    Attributes:
        prompt_token_ids: Ids the engine was given, shape (num_prompt_tokens,).
        generation_token_ids: Ids the engine sampled, shape (num_generated_tokens,).
        generation_log_probs: Natural-log probability of each sampled id, shape (num_generated_tokens,); None when the
            engine gave none, and then the key is in no dump, because readers test for its presence.
    """

    prompt_token_ids: TokenIDs
    generation_token_ids: TokenIDs
    generation_log_probs: TokenLogProbs | None = Field(default=None, exclude_if=_is_absent)


def has_token_data(fields: dict[str, object]) -> bool:
    """Whether an object on the wire carries the ids that make it a `...ForTraining` one."""
    return isinstance(fields.get("generation_token_ids"), list) and isinstance(fields.get("prompt_token_ids"), list)


class NeMoGymEasyInputMessageForTraining(NeMoGymEasyInputMessage, TokenIDLogProbMixin):
    """A short-form message with token data."""


class NeMoGymMessageForTraining(NeMoGymMessage, TokenIDLogProbMixin):
    """A message of parts with token data."""


class NeMoGymResponseOutputMessageForTraining(NeMoGymResponseOutputMessage, TokenIDLogProbMixin):
    """A message the model wrote, with token data."""


class NeMoGymResponseFunctionToolCallForTraining(NeMoGymResponseFunctionToolCall, TokenIDLogProbMixin):
    """A function call with token data."""


class NeMoGymResponseReasoningItemForTraining(NeMoGymResponseReasoningItem, TokenIDLogProbMixin):
    """A reasoning item with token data."""


RESPONSES_TO_TRAIN: dict[type[BaseModel], type[TokenIDLogProbMixin]] = {
    NeMoGymEasyInputMessage: NeMoGymEasyInputMessageForTraining,
    NeMoGymMessage: NeMoGymMessageForTraining,
    NeMoGymResponseOutputMessage: NeMoGymResponseOutputMessageForTraining,
    NeMoGymResponseFunctionToolCall: NeMoGymResponseFunctionToolCallForTraining,
    NeMoGymResponseReasoningItem: NeMoGymResponseReasoningItemForTraining,
}
"""Item class to the variant that carries token data."""
