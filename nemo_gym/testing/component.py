"""An environment as it is shipped: its folder, its settings, its example tasks, the scripted models beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from nemo_gym.collections.tasks import read_tasks
from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import MODELS_KIND, RESOURCES_KIND
from nemo_gym.config.load import load_config
from nemo_gym.config.paths import candidate_paths
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.launch.processes.component_module import served_class
from nemo_gym.servers.serving.server import SimpleServer
from nemo_gym.testing.in_process import POLICY, InProcess
from nemo_gym.wire.json_object import JsonObject

SCRIPTED = "scripted_model"


@dataclass(frozen=True)
class Component:
    """An environment of a configuration.

    Attributes:
        folder: `resources_servers/<name>`, absolute.
        instance: The resources server.
        models: The scripted models of the configuration, which play the judges.
    """

    folder: Path
    instance: ServerInstance
    models: tuple[ServerInstance, ...]

    @property
    def name(self) -> str:
        """Name of the instance."""
        return self.instance.name

    def server_class(self) -> type[SimpleServer]:
        """Return the class that its script serves."""
        return served_class(self.instance.entrypoint)

    def environment(self, agent: Mapping[str, Any] | None = None, **settings: Any) -> InProcess:
        """Return it in process, with its shipped settings; see `nemo_gym.testing.environment`."""
        models = {model.name: _model(model) for model in self.models}
        given = {**self.instance.settings, **settings, "name": self.name}
        return InProcess(self.server_class(), models, agent or {}, given)

    def tasks(self, file: str = "example.jsonl") -> list[JsonObject]:
        """Return the rows of a file in its data folder; ValueError with line and reason for one that isn't a task."""
        return [task.row() for task in read_tasks(self.folder / "data" / file)]


def component(path: str | Path, *more: str | Path, overrides: Mapping[str, Any] | None = None) -> Component:
    """Return the environment of a component's folder, or of configuration files.

    Args:
        path: The folder `resources_servers/<name>`, whose `configs/` are read; or a configuration file.
        more: Further configuration files, such as that of a scripted judge.
        overrides: Settings above those of the files.

    Raises:
        ConfigError: No such folder, no configuration with an environment, or a mistake in it.
    """
    folder = next((place for place in candidate_paths(path) if place.is_dir()), None)
    files = [*_configs_of(folder.resolve()), *map(str, more)] if folder else [str(path), *map(str, more)]
    lenient = {"error_on_almost_servers": False}  # an agent whose model isn't configured isn't needed
    config = load_config(CommandLine({**lenient, **(overrides or {})}, tuple(files)), skip_dotenv=True)
    found = [instance for instance in config.instances if instance.kind == RESOURCES_KIND]
    if folder is not None:
        found = [instance for instance in found if instance.implementation == folder.resolve().name]
    if not found:
        what, known = "no environment is configured here", [str(mistake.what) for mistake in config.ignored]
        raise ConfigError(Mistake(what, where=", ".join(files), known=known, fix="name a file with a resources server"))
    scripted = [i for i in config.instances if i.kind == MODELS_KIND and i.implementation == SCRIPTED]
    models = tuple(model for model in scripted if model.name != POLICY)  # the policy is the test's
    return Component(found[0].directory, found[0], models)


def _configs_of(folder: Path) -> list[str]:
    """Return the first configuration of a folder that has its server, and those that have only scripted models."""
    own: list[str] = []
    scripted: list[str] = []
    for path in sorted(folder.glob("configs/*.y*ml")):
        blocks = [block for block in (yaml.safe_load(path.read_text()) or {}).values() if isinstance(block, dict)]
        if any(folder.name in (block.get(RESOURCES_KIND) or {}) for block in blocks):
            own.append(str(path))
        elif blocks and all(SCRIPTED in (block.get(MODELS_KIND) or {}) for block in blocks):
            scripted.append(str(path))
    if not own:
        what = f"no file in {folder}/configs configures this server"
        raise ConfigError(Mistake(what, where=str(folder), fix=f"add configs/{folder.name}.yaml"))
    return [own[0], *scripted]


def _model(instance: ServerInstance) -> SimpleServer:
    model_class = served_class(instance.entrypoint)
    config_class = cast(Any, model_class.model_fields["config"].annotation)
    settings = {**instance.settings, "host": "", "port": 0, "name": instance.name}
    return model_class(config=config_class.model_validate(settings))
