"""Content parts of messages in the Responses API.

Source: https://platform.openai.com/docs/api-reference/responses
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, SerializeAsAny, Tag

from nemo_gym.wire.open_model import OpenModel, TypedModel


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


def text_or_list(value: Any) -> str:
    """Tag of a `str | list` field, so that a mistake inside the list is reported alone, without "not a string"."""
    return "text" if isinstance(value, str) else "list"


TextOrParts = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[ContentPart], Tag("list")],
    Discriminator(text_or_list),
    SerializeAsAny(),
]
"""Content of a message or a tool result: plain text, or parts."""
