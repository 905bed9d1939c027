"""The request of the Chat Completions API: messages, tools and create parameters, without streaming.

Messages and tools are typed dictionaries: plain dicts at run time, extra keys allowed.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from typing import Annotated, Literal, Required

from pydantic import AfterValidator, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.open_model import NonStreamingParams
from nemo_gym.wire.openai.training import TokenIDs, TokenLogProbs

_OPEN = ConfigDict(extra="allow")


@with_config(_OPEN)
class NeMoGymChatCompletionContentPartTextParam(TypedDict, total=False):
    """A piece of text in a message."""

    text: Required[str]
    type: Required[Literal["text"]]


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

    content: Required[str | list[JsonObject]]
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
    content: str | list[JsonObject] | None
    tool_calls: list[NeMoGymChatCompletionMessageToolCallParam]
    refusal: str | None
    name: str
    audio: JsonObject | None
    function_call: JsonObject | None


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
    parameters: JsonObject
    strict: bool | None


@with_config(_OPEN)
class NeMoGymChatCompletionToolParam(TypedDict):
    """A declared tool."""

    function: NeMoGymFunctionDefinition
    type: Literal["function"]


def check_message(message: JsonObject) -> JsonObject:
    """Check that a chat message says who speaks; it is returned as it is.

    Raises:
        ValueError: `role` is missing or isn't a string.
    """
    if not isinstance(message.get("role"), str):
        raise ValueError("a message is an object with a `role`")
    return message


class NeMoGymChatCompletionCreateParamsNonStreaming(NonStreamingParams):
    """What a chat model is asked. None means: as the endpoint has it by default.

    Keys that are not declared here are dropped. Messages and tools are plain dicts (the `...Param` types above), handed
    on as they were given.

    Attributes:
        max_completion_tokens: Limit of generated tokens, reasoning included, >= 1.
        max_tokens: The same under its older name, the only one that many engines know.
        n: Number of answers, >= 1.
        temperature: 0 (always the likeliest token) to 2.
        top_p: Probability mass that sampling draws from, 0 to 1.
        top_logprobs: Number of likeliest tokens reported at each position, 0 to 20; wants `logprobs`.
    """

    model_config = ConfigDict(extra="ignore")

    messages: list[Annotated[JsonObject, AfterValidator(check_message)]]
    model: str | None = None
    tools: list[JsonObject] | None = None
    tool_choice: str | JsonObject | None = None
    parallel_tool_calls: bool = True

    max_completion_tokens: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    n: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    seed: int | None = None
    stop: str | list[str] | None = None
    metadata: JsonObject | None = None

    audio: JsonObject | None = None
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    function_call: str | JsonObject | None = None
    functions: list[JsonObject] | None = None
    logit_bias: dict[str, float] | None = None
    modalities: list[str] | None = None
    prediction: JsonObject | None = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    prompt_cache_key: str | None = None
    reasoning_effort: str | None = None
    response_format: JsonObject | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    user: str | None = None
    verbosity: str | None = None
    web_search_options: JsonObject | None = None
