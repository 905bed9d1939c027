"""Items of the Responses API, and the content parts inside them: what goes into `input` and comes out in `output`.

The kinds the framework works with have a class; every other kind is a `NeMoGymResponseItem` with its fields as extras.

Source: https://platform.openai.com/docs/api-reference/responses
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, SerializeAsAny, Tag

from nemo_gym.wire.openai.open_model import OpenModel, TypedModel


class NeMoGymResponseInputText(TypedModel):
    """Text given to the model."""

    text: str
    type: Literal["input_text"] = "input_text"


class NeMoGymResponseOutputText(TypedModel):
    """Text the model wrote. `logprobs` has one object for each token when the request asked for them."""

    text: str
    type: Literal["output_text"] = "output_text"
    annotations: list[Any] = Field(default_factory=list)
    logprobs: list[Any] | None = None


class NeMoGymResponseOutputRefusal(TypedModel):
    """The model's words for declining."""

    refusal: str
    type: Literal["refusal"] = "refusal"


class NeMoGymResponseContentPart(OpenModel):
    """Any other part (`input_image`, `input_file`, ... or one not published yet), its fields kept as they came."""

    type: str


class NeMoGymSummary(TypedModel):
    """One paragraph of a reasoning summary."""

    text: str
    type: Literal["summary_text"] = "summary_text"


class NeMoGymReasoningText(TypedModel):
    """One paragraph of the reasoning itself, given by engines that show it."""

    text: str
    type: Literal["reasoning_text"] = "reasoning_text"


_NAMED_PARTS = frozenset({"input_text", "output_text", "refusal"})


def part_type(part: Any) -> str | None:
    """Read the `type` of a content part, given as a dict or as an instance; None when it has none that is text."""
    kind = part.get("type") if isinstance(part, dict) else getattr(part, "type", None)
    return kind if isinstance(kind, str) else None


def _part_kind(part: Any) -> str | None:
    kind = part_type(part)
    return kind if kind is None or kind in _NAMED_PARTS else "other"


ContentPart = Annotated[
    Annotated[NeMoGymResponseInputText, Tag("input_text")]
    | Annotated[NeMoGymResponseOutputText, Tag("output_text")]
    | Annotated[NeMoGymResponseOutputRefusal, Tag("refusal")]
    | Annotated[NeMoGymResponseContentPart, Tag("other")],
    Discriminator(
        _part_kind,
        custom_error_type="content_part_kind",
        custom_error_message="a content part is an object with a `type`",
    ),
    # Each part is written out by its own class: also what a subclass adds, and without asking the discriminator again.
    SerializeAsAny(),
]
"""One part of a message; instances pass as they are."""


def _text_or_list(value: Any) -> str:
    return "text" if isinstance(value, str) else "list"


_Item = TypeVar("_Item")
TextOrList = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[_Item], Tag("list")],
    Discriminator(_text_or_list),
    SerializeAsAny(),
]
"""Like `str | list[_Item]`, but a mistake inside the list is reported alone, without "not a string"."""

TextOrParts = TextOrList[ContentPart]
"""Content of a message or a tool result: plain text, or parts."""


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
