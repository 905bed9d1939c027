"""Download files of a dataset repository on the Hugging Face hub; goes on where it was cut off."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nemo_gym.commands.data.registry_command import run_registry_command
from nemo_gym.commands.entry import DONE
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.data.registries.access import HubAccess, connect_hub

if TYPE_CHECKING:
    from nemo_gym.data.registries.hub import Hub, HubFile

_SPLITS = ("train", "validation", "test")


class DownloadFromHfOptions(HubAccess):
    """Parameters of ng_download_dataset_from_hf."""

    repo_id: str = Field(description="The dataset repository: <organization>/<name>.")
    artifact_fpath: str | None = Field(default=None, description="The file in it; or a split.")
    split: Literal["train", "validation", "test"] | None = Field(
        default=None, description="<split>.jsonl or data/<split>.jsonl; null with a folder: every split there is."
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit.")
    output_fpath: Path | None = Field(default=None, description="Where to write the file; or a folder.")
    output_dirpath: Path | None = Field(
        default=None, description="Folder for <split>.jsonl, or for the file under its own name."
    )
    overwrite: bool = Field(default=False, description="Replace other files that are there.")


def main() -> None:
    """Entry point of ng_download_dataset_from_hf."""
    run_registry_command("ng_download_dataset_from_hf", __doc__ or "", DownloadFromHfOptions, download)


def download(options: DownloadFromHfOptions) -> int:
    """Download, and say what each file was compared with."""
    _check(options)
    hub = connect_hub(options)
    for file in _files(hub, options):
        target = options.output_fpath or Path(options.output_dirpath or ".") / PurePosixPath(file.file).name
        checksum = hub.download(file, target, overwrite=options.overwrite)
        print(f"{target}: {file} ({checksum.algorithm} {checksum.digest})")
    return DONE


def _check(options: DownloadFromHfOptions) -> None:
    if (options.output_fpath is None) == (options.output_dirpath is None):
        raise ConfigError(Mistake("one of output_fpath and output_dirpath is wanted", where="command line"))
    if options.artifact_fpath is not None and options.split is not None:
        raise ConfigError(Mistake("artifact_fpath and split exclude each other", where="command line"))
    if options.output_fpath is not None and options.artifact_fpath is None and options.split is None:
        what = "output_fpath is one file, and neither artifact_fpath nor split says which"
        raise ConfigError(Mistake(what, where="command line", fix="+split=train, or +output_dirpath=... for all"))


def _files(hub: "Hub", options: DownloadFromHfOptions) -> list["HubFile"]:
    from nemo_gym.data.registries.hub import HubFile  # an extra

    if options.artifact_fpath is not None:
        return [HubFile(options.repo_id, options.artifact_fpath, options.revision)]
    if options.split is not None:
        return [hub.file_of_split(options.repo_id, options.split, options.revision)]
    files = set(hub.files(options.repo_id, options.revision))
    splits = [split for split in _SPLITS if {f"{split}.jsonl", f"data/{split}.jsonl"} & files]
    if not splits:
        what = f"{options.repo_id} has no train.jsonl, validation.jsonl or test.jsonl"
        raise ConfigError(Mistake(what, where="repo_id", known=sorted(files), fix="name the file: artifact_fpath"))
    return [hub.file_of_split(options.repo_id, split, options.revision) for split in splits]
