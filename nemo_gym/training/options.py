"""What may be said about an export."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

FormatName = Literal["sft", "preference", "kto", "rl"]

_ONLY_FOR: dict[str, tuple[FormatName, ...]] = {
    "layout": ("sft",),
    "min_reward": ("sft",),
    "best_of": ("sft",),
    "deduplicate": ("sft",),
    "pairs": ("preference",),
    "margin": ("preference",),
    "reward_threshold": ("kto",),
    "advantage": ("rl",),
    "completion": ("preference", "kto"),
    "reasoning": ("sft", "preference", "kto"),
    "developer_role": ("sft", "preference", "kto"),
    "arguments": ("sft", "preference", "kto"),
    "include_truncated": ("sft", "preference", "kto"),
}


class ExportOptions(BaseModel):
    """Parameters of `ng_export`. Rewards are in the verifier's units."""

    format: FormatName = Field(
        description="sft: conversations; preference: chosen and rejected; kto: single labels; rl: token ids."
    )
    input_jsonl_fpath: Path = Field(description="Rollout file of a collection.")
    output_fpath: Path = Field(description="File to write; its ending says how: .jsonl or .parquet.")
    overwrite: bool = Field(default=False, description="Replace an output that is there.")
    model: str | None = Field(
        default=None, description="Only rollouts of this model; null: all must be of the same one."
    )
    license: str | None = Field(
        default=None, description="License of the task data; null: the one that the collection's manifest states."
    )
    accept_license: bool = Field(
        default=False, description="Export although the license seems to forbid it; the manifest records that."
    )
    layout: Literal["messages", "prompt_completion"] = Field(
        default="messages", description="sft: one list of messages, or the task's and the policy's apart."
    )
    min_reward: float | None = Field(default=None, description="sft: only rollouts with at least this reward.")
    best_of: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="sft: the so many best of each task; of equal rewards the earlier repeat."
    )
    deduplicate: bool = Field(default=True, description="sft: each conversation once.")
    pairs: Literal["one", "all"] = Field(
        default="one", description="preference: the best and the worst of each task, or every two with the margin."
    )
    margin: float = Field(
        default=0.0, ge=0, description="preference: least difference of the rewards; 0: any that isn't 0."
    )
    reward_threshold: float = Field(default=1.0, description="kto: the label is true from this reward on.")
    completion: Literal["whole", "first_step"] = Field(
        default="whole",
        description="preference, kto: all the policy did, tool results between, or its first message only.",
    )
    advantage: Literal["mean", "normalized", "leave_one_out"] = Field(
        default="mean",
        description="rl: reward minus the mean of the task's rewards; divided by their standard deviation; or minus "
        "the mean of the others.",
    )
    reasoning: Literal["reasoning_content", "think_tags", "drop"] = Field(
        default="reasoning_content", description="Reasoning in a field of its own, in the text between <think>, or not."
    )
    developer_role: Literal["system", "developer"] = Field(
        default="system", description="Role of developer messages; most chat templates know only system."
    )
    arguments: Literal["object", "text"] = Field(
        default="object", description="Arguments of tool calls decoded, or as the policy wrote them."
    )
    include_truncated: bool = Field(
        default=False, description="Also answers that were cut off, whose end the policy never wrote."
    )

    @model_validator(mode="after")
    def _fits_format(self) -> "ExportOptions":
        for name in self.model_fields_set:
            formats = _ONLY_FOR.get(name)
            if formats and self.format not in formats:
                raise ValueError(f"{name} is for format={' or '.join(formats)}, not for format={self.format}")
        if self.output_fpath.suffix not in (".jsonl", ".parquet"):
            raise ValueError(f"output_fpath should end in .jsonl or .parquet: {self.output_fpath.name}")
        return self

    def shaping(self) -> dict[str, Any]:
        """Return the options that shape what is written, as the manifest has them; no paths."""
        others = {"format", "input_jsonl_fpath", "output_fpath", "overwrite", "license", "accept_license"}
        unused = {name for name, formats in _ONLY_FOR.items() if self.format not in formats}
        return self.model_dump(exclude=others | unused)
