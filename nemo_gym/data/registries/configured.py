"""Fetching a dataset from the source that its configuration names."""

from pathlib import PurePosixPath
from typing import Literal

from nemo_gym.config.datasets import ConfiguredDataset
from nemo_gym.data.registries.access import GitlabAccess, HubAccess, connect_gitlab, connect_hub


class RegistryAccess(GitlabAccess, HubAccess):
    """How all registries are reached."""


def fetch_configured(
    dataset: ConfiguredDataset, access: RegistryAccess, preferred: Literal["huggingface", "gitlab"]
) -> str:
    """Download a dataset to where its configuration says it is; return what was fetched, in words.

    Args:
        dataset: Names at least one source.
        access: Addresses and tokens.
        preferred: The source of a dataset that names both.

    Raises:
        ConfigError: Address, package, dataset or file is missing.
        RegistryError: The registry failed.
        OutputError: The folder can't be made.
    """
    gitlab, hub = dataset.config.gitlab_identifier, dataset.config.huggingface_identifier
    if gitlab is not None and (hub is None or preferred == "gitlab"):
        registry = connect_gitlab(access)
        from nemo_gym.data.registries.mlflow_registry import DatasetFile  # an extra

        file = DatasetFile(gitlab.dataset_name, gitlab.version, gitlab.artifact_fpath)
        registry.download(file, dataset.path)
        return str(file)
    assert hub is not None
    client = connect_hub(access)
    from nemo_gym.data.registries.hub import HubFile  # an extra

    if hub.artifact_fpath is not None:
        wanted = HubFile(hub.repo_id, str(PurePosixPath(hub.artifact_fpath)))
    else:
        wanted = client.file_of_split(hub.repo_id, dataset.config.type)
    client.download(wanted, dataset.path)
    return str(wanted)
