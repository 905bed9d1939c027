"""Download a file of a dataset from GitLab's model registry, or any MLflow server; goes on where it was cut off."""

from pathlib import Path

from pydantic import Field

from nemo_gym.commands.data.registry_command import GitlabDatasetOptions, run_registry_command
from nemo_gym.commands.entry import DONE
from nemo_gym.data.registries.access import connect_gitlab


class DownloadFromGitlabOptions(GitlabDatasetOptions):
    """Parameters of ng_download_dataset_from_gitlab."""

    version: str = Field(description="Its version: 0.0.1.")
    artifact_fpath: str = Field(description="The file in that version.")
    output_fpath: Path = Field(description="Where to write it.")
    overwrite: bool = Field(default=False, description="Replace another file that is there.")


def main() -> None:
    """Entry point of ng_download_dataset_from_gitlab."""
    run_registry_command("ng_download_dataset_from_gitlab", __doc__ or "", DownloadFromGitlabOptions, download)


def download(options: DownloadFromGitlabOptions) -> int:
    """Download, and say what the file was compared with."""
    registry = connect_gitlab(options)
    from nemo_gym.data.registries.mlflow_registry import DatasetFile  # an extra

    file = DatasetFile(options.dataset_name, options.version, options.artifact_fpath)
    checksum = registry.download(file, options.output_fpath, overwrite=options.overwrite)
    compared = f"sha256 {checksum.digest}" if checksum else "the registry has no checksum of it"
    print(f"{options.output_fpath}: {file} ({compared})")
    return DONE
