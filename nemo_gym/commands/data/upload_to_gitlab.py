"""Upload a JSONL file as one version of a dataset to GitLab's model registry, or any MLflow server."""

from pathlib import Path

from pydantic import Field

from nemo_gym.collections.tasks import check_task_file
from nemo_gym.commands.data.registry_command import GitlabDatasetOptions, run_registry_command
from nemo_gym.commands.entry import DONE
from nemo_gym.data.registries.access import connect_gitlab


class UploadToGitlabOptions(GitlabDatasetOptions):
    """Parameters of ng_upload_dataset_to_gitlab."""

    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="Three numbers: 0.0.1.")
    input_jsonl_fpath: Path = Field(description="The file.")


def main() -> None:
    """Entry point of ng_upload_dataset_to_gitlab."""
    run_registry_command("ng_upload_dataset_to_gitlab", __doc__ or "", UploadToGitlabOptions, upload)


def upload(options: UploadToGitlabOptions) -> int:
    """Upload, and print the command that downloads."""
    check_task_file(options.input_jsonl_fpath)
    registry = connect_gitlab(options)
    from nemo_gym.data.registries.mlflow_registry import DatasetFile  # an extra

    path = options.input_jsonl_fpath
    file = DatasetFile(options.dataset_name, options.version, path.name)
    was_new = registry.upload(file, path)
    print(f"{file}: {'uploaded' if was_new else 'was there already'}, checksums agree\ndownload it with\n")
    named = f"+dataset_name={file.dataset} +version={file.version} +artifact_fpath={file.file}"
    print(f"  ng_download_dataset_from_gitlab {named} +output_fpath={path}")
    return DONE
