"""Messages and tools of a chat request, as typed dictionaries: plain dicts at run time, extra keys allowed.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from typing import Any, Literal, Required

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from nemo_gym.wire.token_payload import TokenIDs, TokenLogProbs

_OPEN = ConfigDict(extra="allow")


@with_config(_OPEN)
class NeMoGymChatCompletionContentPartTextParam(TypedDict, total=False):
    """A piece of text in a message."""

    text: Required[str]
    type: Required[Literal["text"]]
    prompt_cache_breakpoint: dict[str, Any]


TextParam = str | list[NeMoGymChatCompletionContentPartTextParam]


@with_config(_OPEN)
class NeMoGymChatCompletionSystemMessageParam(TypedDict, total=False):
    """Instructions, for models that know no developer role."""

    content: Required[TextParam]
    role: Required[Literal["system"]]
    name: str


@with_config(_OPEN)
class NeMoGymChatCompletionDeveloperMessageParam(TypedDict, total=False):
    """Instructions."""

    content: Required[TextParam]
    role: Required[Literal["developer"]]
    name: str


@with_config(_OPEN)
class NeMoGymChatCompletionUserMessageParam(TypedDict, total=False):
    """What the user says; parts may also be images, audio or files."""

    content: Required[str | list[dict[str, Any]]]
    role: Required[Literal["user"]]
    name: str


@with_config(_OPEN)
class NeMoGymChatCompletionMessageToolCallFunctionParam(TypedDict):
    """The function an earlier answer called; `arguments` is JSON text."""

    arguments: str
    name: str


@with_config(_OPEN)
class NeMoGymChatCompletionMessageToolCallParam(TypedDict):
    """A call in an earlier answer."""

    id: str
    function: NeMoGymChatCompletionMessageToolCallFunctionParam
    type: Literal["function"]


@with_config(_OPEN)
class NeMoGymChatCompletionAssistantMessageParam(TypedDict, total=False):
    """An earlier answer of the model; `content` may be absent when it called tools."""

    role: Required[Literal["assistant"]]
    content: str | list[dict[str, Any]] | None
    tool_calls: list[NeMoGymChatCompletionMessageToolCallParam]
    refusal: str | None
    name: str
    audio: dict[str, Any] | None
    function_call: dict[str, Any] | None


@with_config(_OPEN)
class NeMoGymChatCompletionAssistantMessageForTrainingParam(NeMoGymChatCompletionAssistantMessageParam, total=False):
    """An earlier answer with the token data of the call that made it."""

    prompt_token_ids: Required[TokenIDs]
    generation_token_ids: Required[TokenIDs]
    generation_log_probs: TokenLogProbs


# The public interface writes the name both ways.
NeMoGymChatCompletionAssistantMessageParamForTraining = NeMoGymChatCompletionAssistantMessageForTrainingParam


@with_config(_OPEN)
class NeMoGymChatCompletionToolMessageParam(TypedDict, total=False):
    """The result of the call `tool_call_id`."""

    content: Required[TextParam]
    role: Required[Literal["tool"]]
    tool_call_id: Required[str]


NeMoGymChatCompletionMessageParam = (
    NeMoGymChatCompletionSystemMessageParam
    | NeMoGymChatCompletionDeveloperMessageParam
    | NeMoGymChatCompletionUserMessageParam
    | NeMoGymChatCompletionAssistantMessageParam
    | NeMoGymChatCompletionAssistantMessageForTrainingParam
    | NeMoGymChatCompletionToolMessageParam
)


@with_config(_OPEN)
class NeMoGymFunctionDefinition(TypedDict, total=False):
    """A function the model may call; `parameters` is the JSON schema of its arguments, absent means none."""

    name: Required[str]
    description: str
    parameters: dict[str, Any]
    strict: bool | None


@with_config(_OPEN)
class NeMoGymChatCompletionToolParam(TypedDict):
    """A declared tool."""

    function: NeMoGymFunctionDefinition
    type: Literal["function"]
