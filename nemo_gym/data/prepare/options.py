"""What `ng_prepare_data` is asked for."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

DatasetType = Literal["train", "validation", "example"]
Mode = Literal["train_preparation", "example_validation"]
DataSource = Literal["huggingface", "gitlab"]

TYPES_OF_MODE: dict[Mode, tuple[DatasetType, ...]] = {
    "train_preparation": ("train", "validation"),
    "example_validation": ("example",),
}


class PrepareOptions(BaseModel):
    """Parameters of ng_prepare_data."""

    mode: Mode = Field(
        description="train_preparation: the train and validation datasets; example_validation: the examples, and "
        "whether metrics and rollouts are beside them."
    )
    output_dirpath: Path = Field(description="Folder for train.jsonl, validation.jsonl or example.jsonl.")
    should_download: bool = Field(default=False, description="Fetch files that aren't there.")
    data_source: DataSource = Field(
        default="huggingface", description="Where to fetch a dataset from that names both sources."
    )
    seed: int | None = Field(
        default=None, ge=0, description="Shuffle each set with this seed; null keeps the order of the configuration."
    )
    check_environments: bool = Field(
        default=True,
        description="Compare rows with what the verifiers ask for and the tools there are, which imports the servers.",
    )
    overwrite_metrics_conflicts: bool = Field(
        default=False, description="Replace recorded metrics that differ, instead of refusing."
    )
