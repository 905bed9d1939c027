"""Items of the Responses API: what goes into `input` and comes out in `output`.

The kinds the framework works with have a class; every other kind is a `NeMoGymResponseItem` with its fields as extras.

Source: https://platform.openai.com/docs/api-reference/responses
"""

from typing import Literal

from nemo_gym.wire.open_model import OpenModel, TypedModel
from nemo_gym.wire.responses_content import (
    ContentPart,
    NeMoGymReasoningText,
    NeMoGymSummary,
    TextOrParts,
)


class NeMoGymEasyInputMessage(OpenModel):
    """A message in its short form: a role and text (or parts); `type` may be absent on the wire."""

    content: TextOrParts
    role: Literal["user", "assistant", "system", "developer"]
    type: Literal["message"] = "message"


class NeMoGymMessage(TypedModel):
    """A message to the model whose content is a list of parts."""

    content: list[ContentPart]
    role: Literal["user", "system", "developer"]
    type: Literal["message"] = "message"
    status: str | None = None


class NeMoGymResponseOutputMessage(TypedModel):
    """A message the model wrote. `status`: in_progress, completed, incomplete. `id`: some engines give none."""

    always_dumped = ("type", "role")

    content: list[ContentPart]
    id: str | None = None
    role: Literal["assistant"] = "assistant"
    status: str = "completed"
    type: Literal["message"] = "message"


class NeMoGymResponseFunctionToolCall(TypedModel):
    """A call of a declared function. `arguments` is what the model wrote: meant to be a JSON object, not checked."""

    arguments: str
    call_id: str
    name: str
    type: Literal["function_call"] = "function_call"
    id: str | None = None
    status: str | None = None


class NeMoGymFunctionCallOutput(TypedModel):
    """The result of the call with the same `call_id`, as the model will read it."""

    call_id: str
    output: TextOrParts
    type: Literal["function_call_output"] = "function_call_output"
    id: str | None = None
    status: str | None = None


class NeMoGymResponseReasoningItem(TypedModel):
    """What the model thought: a summary, and `content` from engines that show the reasoning itself."""

    id: str
    summary: list[NeMoGymSummary]
    type: Literal["reasoning"] = "reasoning"
    content: list[NeMoGymReasoningText] | None = None
    encrypted_content: str | None = None
    status: str | None = None


class NeMoGymResponseItem(OpenModel):
    """Any other item (`web_search_call`, `mcp_call`, ... or one not published yet); its fields are attributes.

    `type` may be absent only where the API lets it: `{"id": ...}` refers to a stored item.
    """

    type: str = "item_reference"
