"""Upload a JSONL file as a split of a dataset repository on the Hugging Face hub, private where it is new."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from nemo_gym.collections.tasks import check_task_file, read_tasks
from nemo_gym.commands.data.delete_from_gitlab import delete
from nemo_gym.commands.data.registry_command import DATASET_NAME, GitlabDatasetOptions, run_registry_command
from nemo_gym.commands.entry import DONE
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.reading.environments import served_by
from nemo_gym.data.registries.access import GitlabAccess, HubAccess, connect_hub


class UploadToHfOptions(HubAccess, GitlabAccess):
    """Parameters of ng_upload_dataset_to_hf; those of GitLab are for `delete_from_gitlab`."""

    hf_organization: str = Field(description="Organization or user that the repository belongs to.")
    dataset_name: str | None = Field(
        default=None,
        pattern=DATASET_NAME,
        description="The repository is <hf_organization>/<hf_dataset_prefix>-<domain>-<dataset_name>; null: the name "
        "of the environment's folder.",
    )
    input_jsonl_fpath: Path = Field(description="The file.")
    resource_config_path: Path | None = Field(
        default=None, description="Configuration of the environment, for its domain and its folder's name."
    )
    hf_dataset_prefix: str = Field(default="NeMo-Gym", description="May be empty.")
    split: Literal["train", "validation", "test"] = Field(
        default="train", description="The file becomes data/<split>.jsonl; rows of train must be tasks."
    )
    hf_collection_slug: str | None = Field(
        default=None,
        description="Collection to add the repository to: its whole slug, or with hf_collection_name the end of it.",
    )
    hf_collection_name: str | None = Field(
        default=None, description="Name of that collection: <hf_organization>/<name>-<hf_collection_slug>."
    )
    delete_from_gitlab: bool = Field(
        default=False, description="Then delete the dataset of this name from GitLab's registry; asks first."
    )
    revision: str | None = Field(default=None, description="Branch to commit to.")
    create_pr: bool = Field(default=False, description="Open a pull request instead of committing.")
    commit_message: str | None = Field(default=None, description="Of the commit.")
    commit_description: str | None = Field(default=None, description="Of the commit.")

    @model_validator(mode="after")
    def _has_names(self) -> "UploadToHfOptions":
        if self.dataset_name is None and (self.resource_config_path is None or self.delete_from_gitlab):
            raise ValueError("dataset_name is missing: nothing else says what the dataset is called")
        if self.hf_collection_name is not None and self.hf_collection_slug is None:
            raise ValueError("hf_collection_name needs hf_collection_slug, the end of the collection's address")
        return self

    @property
    def repo_id(self) -> str:
        """Where the dataset is; raises ConfigError for a configuration that has no environment."""
        domain, folder = served_by(self.resource_config_path) if self.resource_config_path else ("", "")
        parts = (self.hf_dataset_prefix, domain, self.dataset_name or folder)
        return f"{self.hf_organization}/{'-'.join(filter(None, parts))}"

    @property
    def collection(self) -> str | None:
        """Address of the collection, as the hub has it."""
        if self.hf_collection_name is None:
            return self.hf_collection_slug
        name = self.hf_collection_name.lower().replace(" ", "-")
        return f"{self.hf_organization}/{name}-{self.hf_collection_slug}"


def main() -> None:
    """Entry point of ng_upload_dataset_to_hf."""
    run_registry_command("ng_upload_dataset_to_hf", __doc__ or "", UploadToHfOptions, upload)


def upload(options: UploadToHfOptions) -> int:
    """Check the rows, upload, and print where they are; then delete from GitLab if that is wanted."""
    check_task_file(options.input_jsonl_fpath)
    if not options.hf_token:
        raise ConfigError(Mistake("hf_token is missing", where="env.yaml", fix="set hf_token there, with write access"))
    if options.split == "train":
        _check_rows(options.input_jsonl_fpath)
    _upload(options)
    if options.delete_from_gitlab:
        return delete(GitlabDatasetOptions.model_validate(options.model_dump()))
    return DONE


def _check_rows(path: Path) -> None:
    for task in read_tasks(path):
        try:
            task.row()
        except ValueError as error:
            raise ConfigError(Mistake(str(error), where=str(path), fix="ng_prepare_data shows every row")) from error


def _upload(options: UploadToHfOptions) -> None:
    hub = connect_hub(options)
    from nemo_gym.data.registries.hub import Commit, HubFile  # an extra

    file = HubFile(options.repo_id, f"data/{options.split}.jsonl", options.revision)
    commit = Commit(options.commit_message, options.commit_description, options.create_pr)
    url = hub.upload(file, options.input_jsonl_fpath, commit, collection=options.collection)
    print(f"{file}: uploaded, checksums agree\n{url}\ndownload it with\n")
    named = f"+repo_id={file.repo_id} +artifact_fpath={file.file}"
    print(f"  ng_download_dataset_from_hf {named} +output_fpath={options.input_jsonl_fpath}")
