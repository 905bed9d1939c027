"""Upload a JSONL file as a split of a dataset repository on the Hugging Face hub, private where it is new."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from nemo_gym.collections.tasks import check_task_file, read_tasks
from nemo_gym.commands.data.outcome import outcome_of
from nemo_gym.commands.entry import DONE, read_options, run_command
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.load import merge_sources
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.data.registries.access import HubAccess, connect_hub


class UploadToHfOptions(HubAccess):
    """Parameters of ng_upload_dataset_to_hf."""

    hf_organization: str = Field(description="Organization or user that the repository belongs to.")
    dataset_name: str = Field(description="The repository is <hf_organization>/<hf_dataset_prefix>-<dataset_name>.")
    input_jsonl_fpath: Path = Field(description="The file.")
    hf_dataset_prefix: str = Field(default="NeMo-Gym", description="May be empty.")
    split: Literal["train", "validation", "test"] = Field(
        default="train", description="The file becomes data/<split>.jsonl; rows of train must be tasks."
    )
    hf_collection_slug: str | None = Field(default=None, description="Collection to add the repository to.")
    revision: str | None = Field(default=None, description="Branch to commit to.")
    create_pr: bool = Field(default=False, description="Open a pull request instead of committing.")
    commit_message: str | None = Field(default=None, description="Of the commit.")
    commit_description: str | None = Field(default=None, description="Of the commit.")

    @property
    def repo_id(self) -> str:
        """Where the dataset is."""
        prefix = f"{self.hf_dataset_prefix}-" if self.hf_dataset_prefix else ""
        return f"{self.hf_organization}/{prefix}{self.dataset_name}"


def main() -> None:
    """Entry point of ng_upload_dataset_to_hf."""
    run_command("ng_upload_dataset_to_hf", __doc__ or "", UploadToHfOptions, upload)


def upload(command_line: CommandLine) -> int:
    """Check the rows, upload, and print where they are."""
    values = merge_sources(command_line, own_keys=list(UploadToHfOptions.model_fields))
    options = read_options(UploadToHfOptions, values)
    check_task_file(options.input_jsonl_fpath)
    if not options.hf_token:
        raise ConfigError(Mistake("hf_token is missing", where="env.yaml", fix="set hf_token there, with write access"))
    if options.split == "train":
        _check_rows(options.input_jsonl_fpath)
    return outcome_of(lambda: _upload(options))


def _check_rows(path: Path) -> None:
    for task in read_tasks(path):
        try:
            task.row()
        except ValueError as error:
            raise ConfigError(Mistake(str(error), where=str(path), fix="ng_prepare_data shows every row")) from error


def _upload(options: UploadToHfOptions) -> int:
    hub = connect_hub(options)
    from nemo_gym.data.registries.hub import Commit, HubFile  # an extra

    file = HubFile(options.repo_id, f"data/{options.split}.jsonl", options.revision)
    commit = Commit(options.commit_message, options.commit_description, options.create_pr)
    url = hub.upload(file, options.input_jsonl_fpath, commit, collection=options.hf_collection_slug)
    print(f"{file}: uploaded, checksums agree\n{url}\ndownload it with\n")
    named = f"+repo_id={file.repo_id} +artifact_fpath={file.file}"
    print(f"  ng_download_dataset_from_hf {named} +output_fpath={options.input_jsonl_fpath}")
    return DONE
