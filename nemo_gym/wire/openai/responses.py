"""The answer of the Responses API. Its request is in `responses_params`.

Source: https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.open_model import AnyObject, OpenModel
from nemo_gym.wire.openai.responses_item_kinds import ResponseItem, TextOrItems


class NeMoGymResponseInputTokensDetails(OpenModel):
    """Count of input tokens that came from the endpoint's prompt cache."""

    cached_tokens: int = 0


class NeMoGymResponseOutputTokensDetails(OpenModel):
    """Count of output tokens spent on reasoning."""

    reasoning_tokens: int = 0


class NeMoGymResponseUsage(OpenModel):
    """Token counts of one response; the three totals are enough."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: NeMoGymResponseInputTokensDetails = Field(default_factory=NeMoGymResponseInputTokensDetails)
    output_tokens_details: NeMoGymResponseOutputTokensDetails = Field(
        default_factory=NeMoGymResponseOutputTokensDetails
    )


class NeMoGymResponseError(OpenModel):
    """Why the endpoint could not answer (`status` is "failed")."""

    code: str | None = None
    message: str


class NeMoGymIncompleteDetails(OpenModel):
    """Why the answer stops early (`status` is "incomplete"), e.g. `max_output_tokens`, `content_filter`."""

    reason: str | None = None


class NeMoGymResponse(OpenModel):
    """One answer of a model, or of an agent: then `output` holds every new item of the rollout, in order.

    Only `id`, `created_at`, `model` and `output` must be there; engines leave out much of the rest. Objects the
    framework only carries (tools, reasoning settings, ...) are `OpenModel`: attribute access, any fields.

    Attributes:
        created_at: Seconds since 1970.
        status: completed, failed, in_progress, cancelled, queued, incomplete; None when the engine does not say.
    """

    id: str
    created_at: float
    model: str
    output: list[ResponseItem]
    object: Literal["response"] = "response"
    tools: list[AnyObject] = Field(default_factory=list)
    tool_choice: str | AnyObject = "auto"
    parallel_tool_calls: bool = True

    status: str | None = None
    error: NeMoGymResponseError | None = None
    incomplete_details: NeMoGymIncompleteDetails | None = None
    usage: NeMoGymResponseUsage | None = None
    instructions: TextOrItems | None = None
    metadata: JsonObject | None = None
    temperature: float | None = None
    top_p: float | None = None

    background: bool | None = None
    conversation: AnyObject | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    previous_response_id: str | None = None
    prompt: AnyObject | None = None
    prompt_cache_key: str | None = None
    reasoning: AnyObject | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    text: AnyObject | None = None
    top_logprobs: int | None = None
    truncation: str | None = None
    user: str | None = None

    @property
    def output_text(self) -> str:
        """All text of the model's messages in `output`, joined without separator; "" when there is none."""
        messages = (item for item in self.output if item.type == "message")
        return "".join(_message_text(message) for message in messages)


RESPONSE_DEFAULTS: Mapping[str, Any] = {
    "object": "response",
    "tools": (),
    "tool_choice": "auto",
    "parallel_tool_calls": True,
}
"""Fields that every Response of the API has, for engines that leave them out."""


def _message_text(message: Any) -> str:
    content = message.content
    if isinstance(content, str):
        return content if message.role == "assistant" else ""
    return "".join(part.text for part in content if part.type == "output_text")
