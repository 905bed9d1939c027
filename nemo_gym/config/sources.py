"""Find and read every source of the configuration, lowest precedence first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from nemo_gym.config.command_line import CommandLine
from nemo_gym.config.config_files import ConfigFiles
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import CONFIG_PATHS_KEY_NAME, default_values
from nemo_gym.config.merged import COMMAND_LINE, Source, merge
from nemo_gym.config.paths import find_file, shown
from nemo_gym.config.yaml_file import read_yaml_file

_DEFAULTS = "built-in defaults"
_INITIAL = "initial_global_config_dict"
_DOTENV = "env.yaml"


def gather_sources(
    command_line: CommandLine | None,
    *,
    dotenv_path: Path | None,
    skip_dotenv: bool,
    initial: Mapping[str, Any] | DictConfig | None,
) -> list[Source]:
    """Read all sources: defaults, configuration files left to right, `env.yaml`, `initial`, the command line.

    `config_paths` is a key like any other: the command line's replaces that of `env.yaml`.

    Raises:
        ConfigError: With every file that is missing or cannot be read.
    """
    above: list[Source] = []
    mistakes: list[Mistake] = []
    if not skip_dotenv:
        try:
            above += _dotenv(dotenv_path)
        except ConfigError as error:
            mistakes += error.mistakes
    if initial is not None:
        above.append(Source(_INITIAL, _plain(initial)))
    if command_line is not None:
        above.append(Source(COMMAND_LINE, _values(command_line)))
    files = ConfigFiles(above=merge(above).values, mistakes=mistakes)
    for source in reversed(above):
        if CONFIG_PATHS_KEY_NAME in source.values:
            files.read_named_by(source)
            break
    if mistakes:
        raise ConfigError(*mistakes)
    return [Source(_DEFAULTS, default_values()), *files.sources, *above]


def _dotenv(path: Path | None) -> list[Source]:
    """A path that a program names but that is not there is no mistake: programs pass a fixed one."""
    file = find_file(_DOTENV if path is None else path)
    return [Source(shown(file), read_yaml_file(file), file.parent)] if file else []


def _plain(value: Any) -> Any:
    """Plain containers with interpolations as written; a program may nest OmegaConf's in its own."""
    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value, resolve=False)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _values(command_line: CommandLine) -> dict[str, Any]:
    if not command_line.config_paths:
        return command_line.overrides
    before = command_line.overrides.get(CONFIG_PATHS_KEY_NAME) or []
    before = before if isinstance(before, list) else [before]
    return {**command_line.overrides, CONFIG_PATHS_KEY_NAME: [*before, *command_line.config_paths]}
