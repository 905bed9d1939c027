"""Delete a dataset with all its versions from GitLab's model registry, or any MLflow server; asks first."""

from pydantic import Field

from nemo_gym.commands.data.outcome import outcome_of
from nemo_gym.commands.entry import DONE, read_options, run_command
from nemo_gym.config.load import merge_sources
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.data.registries.access import GitlabAccess, connect_gitlab


class DeleteFromGitlabOptions(GitlabAccess):
    """Parameters of ng_delete_dataset_from_gitlab."""

    dataset_name: str = Field(pattern=r"^[\w.\-]+$", description="Name of the dataset in the registry.")


def main() -> None:
    """Entry point of ng_delete_dataset_from_gitlab."""
    run_command("ng_delete_dataset_from_gitlab", __doc__ or "", DeleteFromGitlabOptions, delete)


def delete(command_line: CommandLine) -> int:
    """Ask, and delete on yes."""
    values = merge_sources(command_line, own_keys=list(DeleteFromGitlabOptions.model_fields))
    options = read_options(DeleteFromGitlabOptions, values)
    return outcome_of(lambda: _delete(options))


def _delete(options: DeleteFromGitlabOptions) -> int:
    registry = connect_gitlab(options)
    if not _is_yes(f"delete '{options.dataset_name}' with all its versions from {options.mlflow_tracking_uri}? [y/N] "):
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
