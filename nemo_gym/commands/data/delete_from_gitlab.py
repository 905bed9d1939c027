"""Delete a dataset with all its versions from GitLab's model registry, or any MLflow server; asks first."""

from nemo_gym.commands.data.registry_command import GitlabDatasetOptions, run_registry_command
from nemo_gym.commands.entry import DONE
from nemo_gym.data.registries.access import connect_gitlab


class DeleteFromGitlabOptions(GitlabDatasetOptions):
    """Parameters of ng_delete_dataset_from_gitlab."""


def main() -> None:
    """Entry point of ng_delete_dataset_from_gitlab."""
    run_registry_command("ng_delete_dataset_from_gitlab", __doc__ or "", DeleteFromGitlabOptions, delete)


def delete(options: GitlabDatasetOptions) -> int:
    """Ask, and delete on yes."""
    registry = connect_gitlab(options)
    question = f"delete '{options.dataset_name}' with all its versions from {options.mlflow_tracking_uri}? [y/N] "
    if not _is_yes(question):
        print("nothing was deleted")
        return DONE
    registry.delete(options.dataset_name)
    print(f"deleted {options.dataset_name}")
    return DONE


def _is_yes(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False
