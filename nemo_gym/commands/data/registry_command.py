"""What every command that talks to a registry does before and after its own work."""

from collections.abc import Callable
from typing import NoReturn, TypeVar

from pydantic import BaseModel, Field

from nemo_gym.commands.entry import read_options, run_command
from nemo_gym.commands.outcome import outcome_of
from nemo_gym.config.load import merge_sources
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.data.registries.access import GitlabAccess

Options = TypeVar("Options", bound=BaseModel)


DATASET_NAME = r"^[\w.\-]+$"


class GitlabDatasetOptions(GitlabAccess):
    """A dataset in a model registry."""

    dataset_name: str = Field(pattern=DATASET_NAME, description="Name of the dataset in the registry.")


def run_registry_command(name: str, doc: str, model: type[Options], work: Callable[[Options], int]) -> NoReturn:
    """Run `work` with the options of this process's arguments, env.yaml and configuration files; exit with its status.

    `work` may raise RegistryError and OutputError, which end the command with status 1.
    """

    def main(command_line: CommandLine) -> int:
        options = read_options(model, merge_sources(command_line, own_keys=list(model.model_fields)))
        return outcome_of(lambda: work(options))

    run_command(name, doc, model, main)
