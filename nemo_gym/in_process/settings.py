"""What a gym is made of, and the configuration that follows from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nemo_gym.base_resources_server import SimpleResourcesServer
from nemo_gym.config.keys import CONFIG_PATHS_KEY_NAME, ENTRYPOINT_KEY_NAME, RESOURCES_KIND
from nemo_gym.config.load import RunConfig, load_config
from nemo_gym.config.paths import CONFIGS_FOLDER
from nemo_gym.in_process.model_choice import POLICY, ModelChoice, model_block

Environments = str | Path | Sequence[str | Path] | type[SimpleResourcesServer]


@dataclass(frozen=True)
class GymSettings:
    """What a gym is made of; `gym` explains it."""

    environment: Environments
    model: ModelChoice | None = field(default=None, repr=False)
    model_name: str | None = None
    api_key: str | None = field(default=None, repr=False)
    agent_name: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def load(self) -> RunConfig:
        """Return the checked configuration; asks an endpoint for its model where no name is given."""
        if isinstance(self.environment, type):
            with TemporaryDirectory() as folder:
                return self._load([_stand_in(Path(folder), self.environment.__name__)])
        return self._load([self.environment] if isinstance(self.environment, str | Path) else self.environment)

    @property
    def classes(self) -> dict[str, type[SimpleResourcesServer]]:
        """The environment by its name, where it is a class of the program."""
        return {self.environment.__name__: self.environment} if isinstance(self.environment, type) else {}

    def _load(self, named: Sequence[str | Path]) -> RunConfig:
        initial: dict[str, Any] = {**self.config, CONFIG_PATHS_KEY_NAME: [str(name) for name in named]}
        if self.model is not None:
            initial[POLICY] = model_block(self.model, self.model_name, self.api_key)
        return load_config(initial=initial)


def _stand_in(folder: Path, name: str) -> Path:
    """Write the folder that configurations want an environment to have, for one that is a class; return it."""
    environment = folder / name
    (environment / CONFIGS_FOLDER).mkdir(parents=True)
    (environment / "app.py").touch()
    block = {name: {RESOURCES_KIND: {name: {ENTRYPOINT_KEY_NAME: "app.py"}}}}
    (environment / CONFIGS_FOLDER / f"{name}.yaml").write_text(json.dumps(block))  # JSON is YAML
    return environment
