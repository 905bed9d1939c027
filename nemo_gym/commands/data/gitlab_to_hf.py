"""Move a dataset: upload its file to the Hugging Face hub, then delete it from GitLab's model registry; asks first."""

from pydantic import Field

from nemo_gym.commands.data.registry_command import DATASET_NAME, run_registry_command
from nemo_gym.commands.data.upload_to_hf import UploadToHfOptions, upload
from nemo_gym.config.errors import ConfigError, Mistake


class GitlabToHfOptions(UploadToHfOptions):
    """Parameters of ng_gitlab_to_hf_dataset: those of the upload, but that it always deletes."""

    dataset_name: str = Field(
        pattern=DATASET_NAME,
        description="Name in GitLab's registry; the repository is "
        "<hf_organization>/<hf_dataset_prefix>-<domain>-<dataset_name>.",
    )
    delete_from_gitlab: bool = Field(default=True, description="Always true, and not to be given.")


def main() -> None:
    """Entry point of ng_gitlab_to_hf_dataset."""
    run_registry_command("ng_gitlab_to_hf_dataset", __doc__ or "", GitlabToHfOptions, move)


def move(options: GitlabToHfOptions) -> int:
    """Upload, and then ask whether to delete."""
    if "delete_from_gitlab" in options.model_fields_set:
        what = "delete_from_gitlab isn't an option here: this command always deletes, after it has asked"
        raise ConfigError(Mistake(what, where="command line", fix="ng_upload_dataset_to_hf only uploads"))
    return upload(options)
