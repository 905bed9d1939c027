"""Check the datasets of a configuration and write them as one task file for each type, with metrics."""

import sys
from collections.abc import Sequence

from nemo_gym.commands.entry import DONE, INCOMPLETE, read_options, run_command
from nemo_gym.commands.outcome import outcome_of
from nemo_gym.config.datasets import ConfiguredDataset, DatasetEnvironment, load_datasets
from nemo_gym.config.paths import shown
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.data.prepare.collation import Collation
from nemo_gym.data.prepare.examples import example_shortcomings
from nemo_gym.data.prepare.options import PrepareOptions
from nemo_gym.data.prepare.preparation import Preparation
from nemo_gym.data.prepare.rows import EnvironmentNeeds
from nemo_gym.data.prepare.scope import datasets_in_scope, fetch_missing
from nemo_gym.data.registries.configured import RegistryAccess, fetch_configured
from nemo_gym.launch.processes.description import NotDescribed, describe_server
from nemo_gym.rollouts.reverify.verify_schema import VerifySchema


class PrepareDataOptions(PrepareOptions, RegistryAccess):
    """Parameters of ng_prepare_data: those of registries are for `should_download`."""


def main() -> None:
    """Entry point of ng_prepare_data."""
    run_command("ng_prepare_data", __doc__ or "", PrepareDataOptions, prepare)


def prepare(command_line: CommandLine) -> int:
    """Prepare, and print what was written; status 1: examples lack something."""
    configured = load_datasets(command_line, PrepareDataOptions.model_fields)
    options = read_options(PrepareDataOptions, configured.values)
    scope = datasets_in_scope(configured.datasets, options)
    return outcome_of(lambda: _prepare(options, scope))


def _prepare(options: PrepareDataOptions, scope: Sequence[ConfiguredDataset]) -> int:
    fetch_missing(scope, options, lambda dataset: _fetch(dataset, options))
    preparation = Preparation(options, scope, _Environments(options.check_environments))
    sets = preparation.run()
    for path in preparation.replaced:
        print(f"replaced the metrics recorded in {shown(path)}")
    for collation in sets:
        _print_set(collation)
    shortcomings = list(example_shortcomings(sets))
    for shortcoming in shortcomings:
        print(shortcoming.as_warning(), file=sys.stderr)
    return INCOMPLETE if shortcomings else DONE


def _fetch(dataset: ConfiguredDataset, options: PrepareDataOptions) -> None:
    fetched = fetch_configured(dataset, options, options.data_source)
    print(f"{shown(dataset.path)}: fetched {fetched}", flush=True)


class _Environments:
    """Asks the code of each resources server once what it wants of a row."""

    def __init__(self, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        self._known: dict[str, EnvironmentNeeds | None] = {}

    def __call__(self, dataset: ConfiguredDataset) -> Sequence[EnvironmentNeeds]:
        if not self._is_wanted:
            return []
        for environment in dataset.environments:
            if environment.name not in self._known:
                self._known[environment.name] = _needs_of(environment)
        found = (self._known[environment.name] for environment in dataset.environments)
        return [needs for needs in found if needs is not None]


def _needs_of(environment: DatasetEnvironment) -> EnvironmentNeeds | None:
    try:
        described = describe_server(environment.name, environment.script, environment.block)
        required = VerifySchema.of_page(described.openapi).required
    except (NotDescribed, KeyError, TypeError) as error:
        what = f"rows aren't compared with what {environment.name} asks for: {error}"
        print(f"warning: {what}", file=sys.stderr, flush=True)
        return None
    tools = None if described.has_more_tools else frozenset(tool["name"] for tool in described.tools)
    return EnvironmentNeeds(environment.name, required, tools)


def _print_set(collation: Collation) -> None:
    for part, share in collation.parts:
        config = part.dataset.config
        taken = f"{share.taken} of {share.available} tasks" if share.taken < share.available else f"{share.taken} tasks"
        repeats = f" x {config.num_repeats}" if config.num_repeats > 1 else ""
        under = f", license {config.license}" if config.license else ""
        print(f"  {config.name} of {part.dataset.agent}: {taken}{repeats}{under}")
    print(f"{shown(collation.path)}: {collation.num_rows} rows, sha256 {collation.sha256}")
