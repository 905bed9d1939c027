"""Environments by name or folder: a folder anywhere, a component beside the others, or an installed distribution.

An environment's folder has its configurations in `configs/`. A distribution declares it with an entry point in the
group `nemo_gym.environments`, whose value is the package that the folder is.
"""

import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import ENTRYPOINT_KEY_NAME, RESOURCES_KIND
from nemo_gym.config.paths import CONFIGS_FOLDER, candidate_paths, search_roots, shown
from nemo_gym.config.reading.yaml_file import find_yaml_file, read_yaml_file

ENTRY_POINT_GROUP = "nemo_gym.environments"


@dataclass(frozen=True)
class EnvironmentFolder:
    """An environment that can be named.

    Attributes:
        name: Of its folder, or of the entry point.
        folder: Absolute.
        distribution: Name and version of the distribution that installed it; None for a folder.
    """

    name: str
    folder: Path
    distribution: str | None = None

    def config_file(self) -> Path:
        """Return the configuration that a run of it reads.

        That is `configs/<name>.yaml`, else the only file there that has a resources server of the folder's name.

        Raises:
            ConfigError: There is none, or there are several.
        """
        files = sorted(self.folder.glob(f"{CONFIGS_FOLDER}/*.y*ml"))
        named = [file for file in files if file.stem == self.name]
        found = named or [file for file in files if self._serves(read_yaml_file(file))]
        if len(found) == 1:
            return found[0]
        count = "no configuration" if not found else f"{len(found)} configurations"
        what = f"environment '{self.name}' has {count} with a server {RESOURCES_KIND}.{self.folder.name}"
        fix = f"name one of the files, or call the one that is meant {CONFIGS_FOLDER}/{self.name}.yaml"
        raise ConfigError(Mistake(what, where=str(self.folder), known=[shown(file) for file in files], fix=fix))

    def _serves(self, values: dict[str, Any]) -> bool:
        kinds = [block.get(RESOURCES_KIND) for block in values.values() if isinstance(block, dict)]
        own = [kind.get(self.folder.name) for kind in kinds if isinstance(kind, dict)]
        # One without an entrypoint only adds to another.
        return any(isinstance(settings, dict) and ENTRYPOINT_KEY_NAME in settings for settings in own)


def served_by(config: Path) -> tuple[str, str]:
    """Return domain and folder of the first environment in a configuration file; raises ConfigError for none."""
    file = find_yaml_file(config) or config
    for block in read_yaml_file(file).values():
        kind = block.get(RESOURCES_KIND) if isinstance(block, dict) else None
        for folder, settings in (kind if isinstance(kind, dict) else {}).items():
            if isinstance(settings, dict):
                return str(settings.get("domain", "")), str(folder)
    raise ConfigError(Mistake(f"{shown(file)} has no environment: nothing below {RESOURCES_KIND}", where=shown(file)))


def find_environment(name: str, beside: Path | None = None) -> EnvironmentFolder | None:
    """Return the environment of a name or path, or None: folders come before installed distributions.

    Args:
        name: A path, absolute or relative as a configuration file's; or a name of `known_environments`.
        beside: Folder of the configuration file that names it.
    """
    places = candidate_paths(name, beside=beside)
    if re.fullmatch(r"[\w-]+", name):
        places += candidate_paths(Path(RESOURCES_KIND) / name, beside=beside)
    folder = next(filter(_is_environment, places), None)
    if folder is not None:
        return EnvironmentFolder(folder.resolve().name, folder.resolve())
    return next((found for found in _installed() if found.name == name), None)


def find_environment_config(name: str, beside: Path | None = None) -> Path | None:
    """Return the configuration of the environment of a name or path; None when there is no such environment.

    Raises:
        ConfigError: The environment doesn't have exactly one that it can be.
    """
    found = None if name.endswith((".yaml", ".yml")) else find_environment(name, beside)
    return None if found is None else found.config_file()


def known_environments() -> list[EnvironmentFolder]:
    """Return every environment that can be named without a path, sorted; of several with a name the one that is meant.

    These are the components in the current folder and the project root, and what is installed.
    """
    folders = [folder for root in search_roots() for folder in (root / RESOURCES_KIND).glob("*")]
    components = [EnvironmentFolder(f.name, f.resolve()) for f in folders if _is_environment(f)]
    by_name = {found.name: found for found in reversed([*components, *_installed()])}
    return [by_name[name] for name in sorted(by_name)]


def _is_environment(folder: Path) -> bool:
    try:
        return any(folder.glob(f"{CONFIGS_FOLDER}/*.y*ml"))
    except (OSError, ValueError):  # it may not be entered, or can't be a path
        return False


def _installed() -> Iterator[EnvironmentFolder]:
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        try:
            spec = importlib.util.find_spec(entry.module)
        except (ImportError, AttributeError, ValueError):
            continue  # a distribution whose files are gone, or whose entry point isn't one
        for place in (spec.submodule_search_locations if spec is not None else None) or ():
            if os.path.isdir(place):
                of = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else None
                yield EnvironmentFolder(entry.name, Path(place).resolve(), of)
