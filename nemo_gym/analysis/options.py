"""What may be said about a profile, a choice of tasks, and a comparison."""

from pathlib import Path

from pydantic import BaseModel, Field, field_validator

from nemo_gym.analysis.comparison import BootstrapSettings
from nemo_gym.analysis.task_profile import ProfileSettings


class _Measured(BaseModel):
    pass_threshold: float = Field(default=1.0, description="A rollout solves its task at this reward or more.")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Of the intervals.")
    input_price: float | None = Field(default=None, ge=0, description="Of a million input tokens; for the cost.")
    output_price: float | None = Field(default=None, ge=0, description="Of a million output tokens; for the cost.")
    overwrite: bool = Field(default=False, description="Replace outputs that are there.")

    @property
    def profile_settings(self) -> ProfileSettings:
        """How tasks are measured."""
        return ProfileSettings(self.pass_threshold, self.confidence, self.input_price, self.output_price)


class _Reported(_Measured):
    markdown_fpath: Path | None = Field(default=None, description="Write the report as Markdown here.")
    html_fpath: Path | None = Field(default=None, description="Write the report as one HTML page here.")


class ProfileOptions(_Reported):
    """Parameters of `ng_profile`. Prices are in any currency."""

    input_jsonl_fpath: Path = Field(description="Rollout file of a collection.")
    output_jsonl_fpath: Path | None = Field(default=None, description="Write each task's profile here, one a line.")
    max_tasks: int = Field(default=200, ge=0, description="Tasks in the report's table at most, most variance first.")


class SelectOptions(_Measured):
    """Parameters of `ng_select`."""

    input_jsonl_fpath: Path = Field(description="Rollout file of a collection.")
    where: str = Field(description="Condition over the fields of ng_profile, e.g. pass_rate > 0.1 and pass_rate < 0.9")
    output_jsonl_fpath: Path = Field(description="Task file to write.")
    tasks_jsonl_fpath: Path | None = Field(
        default=None,
        description="The task file that was collected, to copy its rows; null: the rows as they were sent.",
    )

    @field_validator("where", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, bool | int | float) else value


class CompareOptions(_Reported):
    """Parameters of `ng_compare`."""

    baseline_jsonl_fpath: Path = Field(description="Rollout file to compare with.")
    candidate_jsonl_fpath: Path = Field(description="Rollout file to judge.")
    output_fpath: Path | None = Field(default=None, description="Write the numbers as JSON here.")
    num_resamples: int = Field(default=5_000, ge=200, description="Resamples of the bootstrap; fewer for many tasks.")
    seed: int = Field(default=0, description="Of the bootstrap: the same seed gives the same numbers.")

    @property
    def bootstrap_settings(self) -> BootstrapSettings:
        """How sure differences are said to be."""
        return BootstrapSettings(self.num_resamples, self.confidence, self.seed)
