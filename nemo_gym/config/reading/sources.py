"""Find and read every source of the configuration, lowest precedence first."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nemo_gym.config.env_names import ALLOW_UNAUTHENTICATED_NETWORK_ENV, AUTH_ENV
from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.config.keys import (
    ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME,
    AUTH_KEY_NAME,
    CONFIG_PATHS_KEY_NAME,
    HEAD_SERVER_KEY_NAME,
    default_values,
)
from nemo_gym.config.paths import candidate_paths, component_configs, shown
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.config.reading.environments import find_environment_config
from nemo_gym.config.reading.limits import problem_of_values, size_mistake
from nemo_gym.config.reading.merged import COMMAND_LINE, Source, merge
from nemo_gym.config.reading.yaml_file import find_yaml_file, read_yaml_file
from nemo_gym.config.secrets import mask_secrets


@dataclass
class ConfigFiles:
    """Configuration files in order of precedence, each once, a file after those it names.

    Attributes:
        above: Values of the sources above all files; `${names}` in `config_paths` are looked up here.
        mistakes: Every file that is missing or can't be read is appended here.
        sources: What was read.
    """

    above: dict[str, Any]
    mistakes: list[Mistake]
    sources: list[Source] = field(default_factory=list)
    _read: set[Path] = field(default_factory=set)
    _being_read: list[Path] = field(default_factory=list)

    def read_named_by(self, source: Source) -> None:
        """Read the files of the `config_paths` of `source`, left to right."""
        where = f"{source.name}, key {CONFIG_PATHS_KEY_NAME}"
        try:
            paths = _flat_paths(self._resolved(source, where), where)
        except ConfigError as error:
            self.mistakes += error.mistakes
            return
        for path in paths:
            try:
                file = find_yaml_file(path, beside=source.folder) or find_environment_config(path, source.folder)
            except ConfigError as error:
                self.mistakes += error.mistakes
                continue
            if file is None:
                self.mistakes.append(_not_found(path, source.folder, where))
            else:
                self._add(file, where)

    def _add(self, file: Path, where: str) -> None:
        identity = file.resolve()
        if identity in self._being_read:
            self.mistakes.append(_cycle([*self._being_read[self._being_read.index(identity) :], identity], where))
        if identity in self._read:
            # The first place counts: merged again, the file would undo what came in between.
            return
        self._read.add(identity)
        try:
            source = Source(shown(file), read_yaml_file(file), file.parent)
        except ConfigError as error:
            self.mistakes += error.mistakes
            return
        self._being_read.append(identity)
        if CONFIG_PATHS_KEY_NAME in source.values:
            self.read_named_by(source)
        self._being_read.pop()
        self.sources.append(source)

    def _resolved(self, source: Source, where: str) -> Any:
        value = source.values[CONFIG_PATHS_KEY_NAME]
        if "${" not in str(value):
            return value
        names = {**source.values, **self.above}
        try:
            resolved = OmegaConf.create({**names, CONFIG_PATHS_KEY_NAME: value})[CONFIG_PATHS_KEY_NAME]
            return OmegaConf.to_container(resolved, resolve=True) if OmegaConf.is_config(resolved) else resolved
        except OmegaConfBaseException:
            raise ConfigError(_unknown_name(str(value), names, where)) from None


def _flat_paths(value: Any, where: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [path for item in value for path in _flat_paths(item, where)]
    raise ConfigError(
        Mistake(
            f"{CONFIG_PATHS_KEY_NAME} holds {mask_secrets(value)!r}, not a path", where, fix="write [a.yaml,b.yaml]"
        )
    )


def _unknown_name(value: str, names: dict[str, Any], where: str) -> Mistake:
    used = re.findall(r"\$\{([^{}]*)\}", value)
    name = next((name for name in used if name not in names), used[0] if used else value)
    known = [key for key, item in names.items() if isinstance(item, list) and key != CONFIG_PATHS_KEY_NAME]
    fix = did_you_mean(name, known) or f"add the list {name} to env.yaml"
    return Mistake(f"{CONFIG_PATHS_KEY_NAME} uses ${{{name}}}, which has no value", where, known, fix)


def _not_found(path: str, beside: Path | None, where: str) -> Mistake:
    tried = candidate_paths(path, beside=beside)
    siblings = [file for place in tried for file in place.parent.glob("*.y*ml")]
    known = sorted({str(Path(path).parent / file.name) for file in siblings}) or component_configs()
    problem = "is a folder" if any(map(os.path.isdir, tried)) else "doesn't exist"
    what = f"configuration file '{path}' {problem} (tried {', '.join(map(str, tried))})"
    fix = (
        did_you_mean(path, [*known, *component_configs()])
        or "check the path; a relative one is looked for in the places tried"
    )
    return Mistake(what, where, known, fix)


def _cycle(files: list[Path], where: str) -> Mistake:
    chain = " -> ".join(shown(file) for file in files)
    return Mistake(f"config_paths of these files form a circle: {chain}", where, fix="remove one of the entries")


_DEFAULTS = "built-in defaults"
_INITIAL = "initial_global_config_dict"
_DOTENV = "env.yaml"
_KEYS_BY_VARIABLE = {
    AUTH_ENV: AUTH_KEY_NAME,
    ALLOW_UNAUTHENTICATED_NETWORK_ENV: ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME,
}


def gather_sources(
    command_line: CommandLine | None,
    *,
    dotenv_path: Path | None,
    skip_dotenv: bool,
    initial: Mapping[str, Any] | DictConfig | None,
) -> list[Source]:
    """Read all sources: defaults, files left to right, `env.yaml`, the environment, `initial`, the command line.

    `config_paths` is a key like any other: the command line's replaces that of `env.yaml`.

    Raises:
        ConfigError: With every file that is missing or can't be read.
    """
    above: list[Source] = []
    mistakes: list[Mistake] = []
    if not skip_dotenv:
        try:
            above += _dotenv(dotenv_path)
        except ConfigError as error:
            mistakes += error.mistakes
    above += _environment()
    if initial is not None:
        above.append(_bounded(_INITIAL, initial))
    if command_line is not None:
        above.append(_bounded(COMMAND_LINE, _values(command_line)))
    files = ConfigFiles(above=merge(above).values, mistakes=mistakes)
    for source in reversed(above):
        if CONFIG_PATHS_KEY_NAME in source.values:
            files.read_named_by(source)
            break
    if mistakes:
        raise ConfigError(*mistakes)
    return [Source(_DEFAULTS, default_values()), *files.sources, *above]


def names_head(command_line: CommandLine | None) -> bool:
    """Tell whether the command line, `env.yaml` or a configuration file says which head is meant."""
    sources = gather_sources(command_line, dotenv_path=None, skip_dotenv=False, initial=None)
    return any(source.name != _DEFAULTS and source.values.get(HEAD_SERVER_KEY_NAME) for source in sources)


def _dotenv(path: Path | None) -> list[Source]:
    """A path that a program names may not exist: programs pass a fixed one."""
    file = find_yaml_file(_DOTENV if path is None else path)
    return [Source(shown(file), read_yaml_file(file), file.parent)] if file else []


def _bounded(name: str, values: Mapping[str, Any] | DictConfig) -> Source:
    # Checked before anything recurses into it; OmegaConf's own containers have a limit already.
    problem = problem_of_values(values)
    if problem:
        raise ConfigError(size_mistake(problem, name))
    return Source(name, _plain(values))


def _environment() -> list[Source]:
    """One source for each of the few keys that the environment may set."""
    given = {name: os.environ.get(name, "").strip() for name in _KEYS_BY_VARIABLE}
    return [
        Source(f"environment variable {name}", {_KEYS_BY_VARIABLE[name]: _scalar(text)})
        for name, text in given.items()
        if text
    ]


def _scalar(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


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
