"""The settings of a judge: one block in the configuration of a resources server."""

from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from nemo_gym.config.schema import ModelServerRef
from nemo_gym.models.auxiliary_model import AuxiliaryModelConfig, CreateParams

Labels = Annotated[dict[Annotated[str, Field(min_length=1)], FiniteFloat], Field(min_length=1)]
"""Rewards by label."""


class JudgeConfig(AuxiliaryModelConfig):
    """What a judge is asked, how its answer is read, and within which bounds."""

    judge_model_server: ModelServerRef = Field(description="The model server of the judge.")
    judge_responses_create_params: CreateParams = Field(
        default={}, description="Parameters of every call, such as temperature, max_output_tokens and text.format."
    )
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
    parse_retries: int = Field(
        default=2, ge=0, le=20, description="How often the judge is asked again when its answer has no verdict."
    )

    @model_validator(mode="after")
    def _swaps_the_same_labels(self) -> Self:
        if self.swapped_labels is not None and self.swapped_labels.keys() != self.labels.keys():
            raise ValueError("`swapped_labels` must have the same labels as `labels`")
        return self
