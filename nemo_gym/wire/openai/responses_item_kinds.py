"""Which class an item on the wire belongs to: decided once from its `type`, its `role` and which keys it has."""

from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, SerializeAsAny, Tag

from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.open_model import OpenModel
from nemo_gym.wire.openai.responses_items import (
    NeMoGymEasyInputMessage,
    NeMoGymFunctionCallOutput,
    NeMoGymMessage,
    NeMoGymResponseFunctionToolCall,
    NeMoGymResponseItem,
    NeMoGymResponseOutputMessage,
    NeMoGymResponseReasoningItem,
    TextOrList,
    part_type,
)
from nemo_gym.wire.openai.training import (
    NeMoGymEasyInputMessageForTraining,
    NeMoGymMessageForTraining,
    NeMoGymResponseFunctionToolCallForTraining,
    NeMoGymResponseOutputMessageForTraining,
    NeMoGymResponseReasoningItemForTraining,
    has_token_data,
)

_CLASS_BY_KIND: dict[str, type[OpenModel]] = {
    "easy_message": NeMoGymEasyInputMessage,
    "input_message": NeMoGymMessage,
    "output_message": NeMoGymResponseOutputMessage,
    "function_call": NeMoGymResponseFunctionToolCall,
    "function_call_output": NeMoGymFunctionCallOutput,
    "reasoning": NeMoGymResponseReasoningItem,
    "other": NeMoGymResponseItem,
}
_KIND_BY_CLASS: dict[type, str] = {cls: kind for kind, cls in _CLASS_BY_KIND.items()}
_KINDS_BY_TYPE = frozenset({"function_call", "function_call_output", "reasoning"})
_KINDS_WITH_TOKENS = frozenset({"easy_message", "input_message", "output_message", "function_call", "reasoning"})
_MODEL_PARTS = frozenset({"output_text", "refusal"})


def item_kind(item: Any) -> str | None:
    """Name the kind of an item given as an object from JSON or as an instance of an item class.

    Returns:
        The tag of `ResponseItem`, with the suffix `_with_tokens` for the `...ForTraining` classes; None when it
        isn't an item at all: neither `type`, nor `role`, nor `id`.
    """
    if not isinstance(item, dict):
        kind = next((kind for cls in type(item).__mro__ if (kind := _KIND_BY_CLASS.get(cls))), None)
        if kind is not None or not isinstance(item, BaseModel):
            return kind
        item = item.model_dump(exclude_unset=True)  # of somebody else's class, e.g. the openai package's
    kind = _dict_kind(item)
    return f"{kind}_with_tokens" if kind in _KINDS_WITH_TOKENS and has_token_data(item) else kind


def _dict_kind(item: JsonObject) -> str | None:
    item_type = item.get("type")
    if item_type == "message" or (item_type is None and "role" in item):
        return _message_kind(item)
    if item_type == "function_call_output" and "name" in item and "call_id" not in item:
        return "other"  # a result that names its function instead of a call: nothing of ours makes or reads those
    if isinstance(item_type, str):
        return item_type if item_type in _KINDS_BY_TYPE else "other"
    return "other" if item_type is None and "id" in item else None


def _message_kind(message: JsonObject) -> str:
    content = message.get("content")
    # Without `type`, or with plain text, only the short form fits.
    if "type" not in message or not isinstance(content, list):
        return "easy_message"
    if message.get("role", "assistant") != "assistant":
        return "input_message"
    return "output_message" if all(part_type(part) in _MODEL_PARTS for part in content) else "easy_message"


ResponseItem = Annotated[
    Annotated[NeMoGymEasyInputMessage, Tag("easy_message")]
    | Annotated[NeMoGymMessage, Tag("input_message")]
    | Annotated[NeMoGymResponseOutputMessage, Tag("output_message")]
    | Annotated[NeMoGymResponseFunctionToolCall, Tag("function_call")]
    | Annotated[NeMoGymFunctionCallOutput, Tag("function_call_output")]
    | Annotated[NeMoGymResponseReasoningItem, Tag("reasoning")]
    | Annotated[NeMoGymEasyInputMessageForTraining, Tag("easy_message_with_tokens")]
    | Annotated[NeMoGymMessageForTraining, Tag("input_message_with_tokens")]
    | Annotated[NeMoGymResponseOutputMessageForTraining, Tag("output_message_with_tokens")]
    | Annotated[NeMoGymResponseFunctionToolCallForTraining, Tag("function_call_with_tokens")]
    | Annotated[NeMoGymResponseReasoningItemForTraining, Tag("reasoning_with_tokens")]
    | Annotated[NeMoGymResponseItem, Tag("other")],
    Discriminator(
        item_kind,
        custom_error_type="item_kind",
        custom_error_message="an item is an object with a `type`, or a message with `role` and `content`",
    ),
    # Written out by the class of the item: also what a subclass adds, and without asking the discriminator again.
    SerializeAsAny(),
]
"""One item of `input` or `output`; a dict becomes its class, an instance passes as it is."""

NeMoGymResponseOutputItem = ResponseItem
NeMoGymResponseInputItem = ResponseItem
NeMoGymResponseInput = list[ResponseItem]
"""The list form of `input`: a conversation, oldest item first."""

TextOrItems = TextOrList[ResponseItem]
"""A conversation, or the one text of its user."""
