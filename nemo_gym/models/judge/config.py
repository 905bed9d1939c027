"""The settings of a judge: one block in the configuration of a resources server."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from nemo_gym.config.schema import ModelServerRef
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses_params import NeMoGymResponseCreateParamsNonStreaming


def _without_input(params: JsonObject) -> JsonObject:
    if params.get("input"):
        raise ValueError("leave `input` out: it is made from `system` and `prompt`")
    return NeMoGymResponseCreateParamsNonStreaming.model_validate({**params, "input": ""}).model_dump(
        exclude_unset=True, exclude={"input"}
    )


Labels = Annotated[dict[Annotated[str, Field(min_length=1)], FiniteFloat], Field(min_length=1)]
"""Rewards by label."""


class JudgeConfig(BaseModel):
    """What a judge is asked, how its answer is read, and within which bounds."""

    model_config = ConfigDict(extra="forbid")

    judge_model_server: ModelServerRef = Field(description="The model server of the judge.")
    judge_responses_create_params: Annotated[JsonObject, AfterValidator(_without_input)] = Field(
        default={}, description="Parameters of every call, such as temperature, max_output_tokens and text.format."
    )
    system: str | None = Field(default=None, description="System message, sent as it is.")
    prompt: str | None = Field(
        default=None, description="User message, with a placeholder for each value; {{ and }} are braces."
    )
    prompt_fpath: str | None = Field(default=None, description="A file with the user message, instead of `prompt`.")
    labels: Labels = Field(
        default={"[[A=B]]": 1.0, "[[A!=B]]": 0.0}, description="Rewards by label; the last label of an answer counts."
    )
    both_orders: bool = Field(default=False, description="Ask a second time, with the two answers swapped.")
    swapped_labels: Labels | None = Field(
        default=None, description="Rewards by label where the answers are swapped; absent: as in `labels`."
    )
    on_disagreement: Literal["lower", "mean"] | FiniteFloat = Field(
        default="lower", description="Reward where the two orders disagree: lower, mean, or this number."
    )
    max_concurrency: int = Field(default=64, ge=1, description="Calls to the judge at a time, of one server process.")
    parse_retries: int = Field(
        default=2, ge=0, le=20, description="How often the judge is asked again when its answer has no verdict."
    )
    # Longer than the 300 s for which a model server tries a busy endpoint again: its reason arrives.
    timeout_s: float = Field(default=400.0, gt=0, description="Longest one call to the judge may take, in seconds.")

    @model_validator(mode="after")
    def _has_one_prompt(self) -> Self:
        if (self.prompt is None) == (self.prompt_fpath is None):
            raise ValueError("a judge needs either `prompt` or `prompt_fpath`")
        if self.swapped_labels is not None and self.swapped_labels.keys() != self.labels.keys():
            raise ValueError("`swapped_labels` must have the same labels as `labels`")
        return self
