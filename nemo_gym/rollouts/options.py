"""What may be said about a collection, and about scoring an existing one again."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field


class _RunOptions(BaseModel):
    output_jsonl_fpath: Path = Field(description="Rollouts are appended here as they finish.")
    num_samples_in_parallel: Annotated[int, Field(ge=1)] | Literal["auto"] | None = Field(
        default=None, description="Rollouts in flight; null: 1024; auto: as many as the endpoint keeps up with."
    )
    resume: bool = Field(default=True, description="Continue an output of the same collection; false: refuse one.")
    overwrite: bool = Field(default=False, description="Start anew; old files are moved aside.")
    accept_changed_code: bool = Field(
        default=False, description="Continue although a server's code has changed since; the manifest records it."
    )
    pass_threshold: float = Field(default=1.0, description="A rollout solves its task at this reward or more (pass@k).")
    max_attempts: int = Field(default=3, ge=1, description="Attempts for each rollout that fails.")
    rollout_timeout_s: float = Field(default=3600.0, gt=0, description="Longest one attempt may take.")
    time_budget_s: float | None = Field(default=None, gt=0, description="Stop starting work in time to end by then.")
    strict: bool | None = Field(
        default=None,
        description="null: stop when rollout after rollout fails for a reason that will not go away; "
        "true: stop at the first failure; false: stop at none.",
    )
    check_token_ids: bool | None = Field(
        default=None,
        description="null: mask a rollout whose token data doesn't hold together; true: also one in which a model call "
        "has none; false: don't check.",
    )
    show: int = Field(default=0, ge=0, description="Print rewards, and so many rollouts as conversations, at the end.")


class RolloutCollectionConfig(_RunOptions):
    """Parameters of `ng_collect_rollouts`. Times in seconds."""

    agent_name: str | None = Field(default=None, description="Agent of every row; may be left out where rows name one.")
    input_jsonl_fpath: Path = Field(description="Task file: one JSON object per line.")
    limit: int | None = Field(default=None, ge=1, description="Only the first so many tasks.")
    num_repeats: int = Field(default=1, ge=1, description="Rollouts for each task.")
    responses_create_params: dict[str, Any] = Field(
        default={}, description="Overrides each row's, e.g. +responses_create_params.temperature=0.7"
    )
    num_drivers: int = Field(
        default=1, ge=1, le=64, description="Processes that run rollouts; 1: the collector itself does."
    )
    preflight: bool = Field(
        default=True, description="Check model, tools and verifier before the first rollout, with one small model call."
    )


class ReverifyConfig(_RunOptions):
    """Parameters of `ng_reverify`. Times in seconds."""

    agent_name: str | None = Field(
        default=None, description="Agent whose verifier scores; null: the one each row names."
    )
    input_jsonl_fpath: Path = Field(description="Rollout file: rows with responses_create_params and response.")
    limit: int | None = Field(default=None, ge=1, description="Only the first so many rows.")

    def as_collection(self) -> RolloutCollectionConfig:
        """Return the collection that has one repeat of every row, and asks no model."""
        return RolloutCollectionConfig(**self.model_dump(), preflight=False)
