"""Items with token data: what a trainer needs of each model call, attached to the item that the call made."""

from pydantic import BaseModel, Field

from nemo_gym.wire.responses_items import (
    NeMoGymEasyInputMessage,
    NeMoGymMessage,
    NeMoGymResponseFunctionToolCall,
    NeMoGymResponseOutputMessage,
    NeMoGymResponseReasoningItem,
)
from nemo_gym.wire.token_payload import TokenIDs, TokenLogProbs


def _is_absent(value: object) -> bool:
    return value is None


class TokenIDLogProbMixin(BaseModel):
    """Token data of the model call that made this item. The lists are carried by reference, unchecked inside.

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
