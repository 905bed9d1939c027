"""The request of the Chat Completions API: create parameters, without streaming.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from nemo_gym.wire.open_model import NonStreamingParams


def check_message(message: dict[str, Any]) -> dict[str, Any]:
    """Check that a chat message says who speaks; it is returned as it is.

    Raises:
        ValueError: `role` is missing or no string.
    """
    if not isinstance(message.get("role"), str):
        raise ValueError("a message is an object with a `role`")
    return message


class NeMoGymChatCompletionCreateParamsNonStreaming(NonStreamingParams):
    """What a chat model is asked. None means: as the endpoint has it by default.

    Messages and tools are plain dicts (the `...Param` types of `chat_messages`), carried as they were given.

    Attributes:
        max_completion_tokens: Limit of generated tokens, reasoning included, >= 1.
        max_tokens: The same under its older name, which many engines know only.
        n: Number of answers, >= 1.
        temperature: 0 (always the likeliest token) to 2.
        top_p: Probability mass that sampling draws from, 0 to 1.
        top_logprobs: Number of likeliest tokens reported at each position, 0 to 20; wants `logprobs`.
    """

    messages: list[Annotated[dict[str, Any], AfterValidator(check_message)]]
    model: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None

    max_completion_tokens: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    n: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    seed: int | None = None
    stop: str | list[str] | None = None
    metadata: dict[str, Any] | None = None

    audio: dict[str, Any] | None = None
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    function_call: str | dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    logit_bias: dict[str, float] | None = None
    modalities: list[str] | None = None
    moderation: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    user: str | None = None
    verbosity: str | None = None
    web_search_options: dict[str, Any] | None = None
