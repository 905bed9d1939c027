"""The answer of the Chat Completions API. Its request is in `chat_params`.

Source: https://platform.openai.com/docs/api-reference/chat
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, SerializeAsAny, Tag

from nemo_gym.wire.openai.open_model import AnyObject, OpenModel, TypedModel
from nemo_gym.wire.openai.training import TokenIDLogProbMixin, has_token_data


class NeMoGymFunction(OpenModel):
    """The function a model calls. `arguments` is what it wrote: meant to be a JSON object, not checked."""

    arguments: str
    name: str


class NeMoGymChatCompletionMessageToolCall(TypedModel):
    """One call of a declared function."""

    id: str
    function: NeMoGymFunction
    type: Literal["function"] = "function"


class NeMoGymChatCompletionMessageOtherToolCall(OpenModel):
    """A call of a tool that isn't a function, e.g. `custom`; its fields are attributes."""

    id: str
    type: str


def _tool_call_kind(call: Any) -> str:
    kind = call.get("type", "function") if isinstance(call, dict) else getattr(call, "type", "function")
    return "function" if kind == "function" else "other"


ToolCall = Annotated[
    Annotated[NeMoGymChatCompletionMessageToolCall, Tag("function")]
    | Annotated[NeMoGymChatCompletionMessageOtherToolCall, Tag("other")],
    Discriminator(_tool_call_kind),
    SerializeAsAny(),
]


class NeMoGymChatCompletionMessage(OpenModel):
    """What the model wrote: text, tool calls, or both. `content` is None when there is no text."""

    role: Literal["assistant"] = "assistant"
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    annotations: list[AnyObject] | None = None
    audio: AnyObject | None = None
    function_call: NeMoGymFunction | None = None


class NeMoGymChatCompletionMessageForTraining(NeMoGymChatCompletionMessage, TokenIDLogProbMixin):
    """What the model wrote, with the token data of the call."""


def _message_kind(message: Any) -> str:
    return "with_tokens" if isinstance(message, dict) and has_token_data(message) else "plain"


Message = Annotated[
    Annotated[NeMoGymChatCompletionMessage, Tag("plain")]
    | Annotated[NeMoGymChatCompletionMessageForTraining, Tag("with_tokens")],
    Discriminator(_message_kind),
    # Written out by its own class: an instance with token data keeps them.
    SerializeAsAny(),
]


class NeMoGymChoice(OpenModel):
    """One of the `n` answers. `finish_reason`: stop, length, tool_calls, content_filter, or an engine's own."""

    message: Message
    index: int = 0
    finish_reason: str | None = None
    logprobs: AnyObject | None = None


class NeMoGymCompletionUsage(OpenModel):
    """Token counts of one completion, all `n` answers together."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: AnyObject | None = None
    completion_tokens_details: AnyObject | None = None


class NeMoGymChatCompletion(OpenModel):
    """One answer of a chat endpoint. `created`: seconds since 1970."""

    id: str
    choices: list[NeMoGymChoice]
    created: int
    model: str
    object: Literal["chat.completion"] = "chat.completion"
    usage: NeMoGymCompletionUsage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
