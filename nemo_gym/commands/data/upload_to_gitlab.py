"""Upload a JSONL file as one version of a dataset to GitLab's model registry, or any MLflow server."""

from pathlib import Path

from pydantic import Field

from nemo_gym.collections.tasks import check_task_file
from nemo_gym.commands.data.outcome import outcome_of
from nemo_gym.commands.entry import DONE, read_options, run_command
from nemo_gym.config.load import merge_sources
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.data.registries.access import GitlabAccess, connect_gitlab


class UploadToGitlabOptions(GitlabAccess):
    """Parameters of ng_upload_dataset_to_gitlab."""

    dataset_name: str = Field(pattern=r"^[\w.\-]+$", description="Name of the dataset in the registry.")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="Three numbers: 0.0.1.")
    input_jsonl_fpath: Path = Field(description="The file.")


def main() -> None:
    """Entry point of ng_upload_dataset_to_gitlab."""
    run_command("ng_upload_dataset_to_gitlab", __doc__ or "", UploadToGitlabOptions, upload)


def upload(command_line: CommandLine) -> int:
    """Upload, and print the command that downloads."""
    values = merge_sources(command_line, own_keys=list(UploadToGitlabOptions.model_fields))
    options = read_options(UploadToGitlabOptions, values)
    check_task_file(options.input_jsonl_fpath)
    return outcome_of(lambda: _upload(options))


def _upload(options: UploadToGitlabOptions) -> int:
    registry = connect_gitlab(options)
    from nemo_gym.data.registries.mlflow_registry import DatasetFile  # an extra

    path = options.input_jsonl_fpath
    file = DatasetFile(options.dataset_name, options.version, path.name)
    was_new = registry.upload(file, path)
    print(f"{file}: {'uploaded' if was_new else 'was there already'}, checksums agree\ndownload it with\n")
    named = f"+dataset_name={file.dataset} +version={file.version} +artifact_fpath={file.file}"
    print(f"  ng_download_dataset_from_gitlab {named} +output_fpath={path}")
    return DONE
