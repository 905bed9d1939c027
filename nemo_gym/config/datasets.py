"""The datasets that a configuration describes, for commands that prepare or share them and start no server."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import DictConfig

from nemo_gym.config.checks.blocks import Block, looks_like_server, read_block
from nemo_gym.config.checks.instances import check_settings, find_folder
from nemo_gym.config.checks.references import references
from nemo_gym.config.checks.typos import find_typos
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import AGENTS_KIND, ENTRYPOINT_KEY_NAME, RESOURCES_KIND
from nemo_gym.config.load import resolve_and_hide
from nemo_gym.config.paths import candidate_paths
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.config.reading.default_agents import add_default_agents, default_agent_of
from nemo_gym.config.reading.interpolation import Finding, Resolved, as_literal
from nemo_gym.config.reading.merged import MergedConfig, merge
from nemo_gym.config.reading.sources import gather_sources
from nemo_gym.config.schema import DatasetConfig

_EXAMPLES = "data/example.jsonl"


@dataclass(frozen=True)
class DatasetEnvironment:
    """The resources server that a dataset's tasks are for, as configured.

    Attributes:
        name: Of the instance.
        directory: The component's folder, absolute.
        script: Its entrypoint, absolute.
        block: The instance's whole block, as in a configuration file.
    """

    name: str
    directory: Path
    script: Path
    block: dict[str, object] = field(repr=False)  # may hold secrets


@dataclass(frozen=True)
class ConfiguredDataset:
    """One entry of an agent's `datasets`.

    Attributes:
        agent: Name of the agent's instance.
        config: The entry.
        path: Its file; where that doesn't exist, the place it belongs.
        where: File and key, as mistakes show them.
        environments: What the agent names as its resources servers, those whose folders are known.
    """

    agent: str
    config: DatasetConfig
    path: Path
    where: str
    environments: tuple[DatasetEnvironment, ...]


@dataclass(frozen=True)
class ConfiguredDatasets:
    """What a data command reads: the values of all sources, and the datasets in the order of the configuration."""

    values: DictConfig = field(repr=False)  # holds secrets
    datasets: tuple[ConfiguredDataset, ...]


def load_datasets(command_line: CommandLine, own_keys: Collection[str] = ()) -> ConfiguredDatasets:
    """Read the configuration for its datasets; `own_keys` are the options of the calling command.

    They are those of agents, and of environments that have their default agent alone, which then runs them.

    `data/example.jsonl` of an environment is a dataset of its first agent, listed or not. Servers without datasets
    aren't checked: models may be missing, and values that need one unresolved.

    Raises:
        ConfigError: Files can't be read; with every misspelt key, and every mistake in a server that has datasets.
    """
    sources = gather_sources(command_line, dotenv_path=None, skip_dotenv=False, initial=None)
    merged = merge(sources)
    add_default_agents(merged, starts_servers=False)
    resolved = resolve_and_hide(merged)
    blocks = dict(_blocks(resolved, merged))
    found: list[ConfiguredDataset] = []
    mistakes = [finding.mistake for finding in find_typos(sources, own_keys)]
    for block in blocks.values():
        if block.settings.get("datasets"):
            listed, wrong = _listed(block, blocks, resolved, merged)
            found += listed
            mistakes += wrong
    if mistakes:
        raise ConfigError(*mistakes)
    for block in blocks.values():
        if block.kind == AGENTS_KIND:
            found += _unlisted_examples(block, tuple(_environments(block, blocks, merged)), found)
    return ConfiguredDatasets(DictConfig(as_literal(resolved.values)), tuple(found))


def _listed(
    block: Block, blocks: dict[str, Block], resolved: Resolved, merged: MergedConfig
) -> tuple[list[ConfiguredDataset], list[Mistake]]:
    """Return the datasets that are listed below a server, and what is wrong with it."""
    settings, findings = check_settings(block, resolved.left_out, merged)
    mistakes = [finding.mistake for finding in findings]
    entries = settings.datasets if settings else []
    agent = block if block.kind == AGENTS_KIND else blocks.get(default_agent_of(block.name))
    path = (*block.path, "datasets")
    if entries and agent is None:
        what, fix = f"no agent runs the datasets of '{block.name}'", "add an agent, or use the default"
        mistakes.append(Mistake(what, merged.where(*path), fix=fix))
    if not entries or agent is None:
        return [], mistakes
    environments = tuple(_environments(agent, blocks, merged))
    files = [_file_of(entry, merged.folder_of(*path, index)) for index, entry in enumerate(entries)]
    places = [merged.where(*path, index) for index in range(len(entries))]
    listed = zip(entries, files, places, strict=True)
    return [ConfiguredDataset(agent.name, *one, environments) for one in listed], mistakes


def _blocks(resolved: Resolved, merged: MergedConfig) -> Iterator[tuple[str, Block]]:
    for name, value in resolved.values.items():
        block = read_block(name, value, merged) if looks_like_server(name, value) else None
        if isinstance(block, Finding):
            raise ConfigError(block.mistake)
        if block is not None:
            yield name, block


def _environments(agent: Block, blocks: dict[str, Block], merged: MergedConfig) -> Iterator[DatasetEnvironment]:
    named = (reference.name for reference in references(agent) if reference.kind == RESOURCES_KIND)
    for name in dict.fromkeys(named):
        block = blocks.get(name)
        folder = find_folder(block, merged)[0] if block is not None else None
        if block is not None and folder is not None:
            script = folder / str(block.settings[ENTRYPOINT_KEY_NAME])
            yield DatasetEnvironment(name, folder, script, {block.kind: {block.implementation: block.settings}})


def unlisted_examples(folder: Path, listed: Iterable[Path]) -> Path | None:
    """Return the example tasks in an environment's folder, which count as a dataset though nobody lists them.

    None where there are none, or they are one of the files that are listed.
    """
    path = folder / _EXAMPLES
    is_new = path.is_file() and not any(path.samefile(other) for other in listed if other.exists())
    return path if is_new else None


def _unlisted_examples(
    agent: Block, environments: tuple[DatasetEnvironment, ...], listed: Sequence[ConfiguredDataset]
) -> Iterator[ConfiguredDataset]:
    for environment in environments:
        path = unlisted_examples(environment.directory, (each.path for each in listed))
        if path is not None:
            named = f"{RESOURCES_KIND}/{environment.directory.name}/{_EXAMPLES}"
            entry = DatasetConfig(name="example", type="example", jsonl_fpath=named)
            yield ConfiguredDataset(agent.name, entry, path, str(path), environments)


def _file_of(entry: DatasetConfig, beside: Path | None) -> Path:
    """Return the file of a dataset, or the first place for it whose folder exists, or the place in this folder."""
    places = candidate_paths(entry.jsonl_fpath, beside=beside)
    existing = [place for place in places if os.path.isfile(place)]
    with_folder = [place for place in places if os.path.isdir(place.parent)]
    here = candidate_paths(entry.jsonl_fpath)[0]
    return next(iter([*existing, *with_folder]), here)
