"""The servers of a run in memory: the same classes, configuration and apps as in processes, without sockets."""

import asyncio
import sys
import threading
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from starlette.types import ASGIApp

from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.keys import AGENTS_KIND, HEAD_SERVER_KEY_NAME, MODELS_KIND, RESOURCES_KIND
from nemo_gym.config.load import RunConfig
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.global_config import kept_global_config_dict, replace_global_config_dict, restore_global_config_dict
from nemo_gym.in_process.model_choice import AnswerFunction
from nemo_gym.launch.environments.requirements import import_root
from nemo_gym.launch.plan import LaunchOptions, plan, plan_processes
from nemo_gym.launch.processes.component_module import served_class
from nemo_gym.launch.start_error import StartError
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.connections import raise_descriptor_limit
from nemo_gym.servers.serving.server import SimpleServer

_START_ORDER = (MODELS_KIND, RESOURCES_KIND, AGENTS_KIND)  # a server may call those before it while it starts
_building = threading.Lock()


class InProcessServers:
    """All servers of a configuration, for each other and for `client` in memory.

    Args:
        config: The checked configuration.
        functions: Answers in the place of an instance of the scripted model, by its name.
        classes: Servers whose class the program has itself, by instance.
        options: Bounds of start and stop.

    Attributes:
        client: Calls the servers.

    Raises:
        ConfigError: A server can't share this process, or its settings have mistakes.
    """

    def __init__(
        self,
        config: RunConfig,
        functions: Mapping[str, AnswerFunction],
        classes: Mapping[str, type[SimpleServer]],
        options: LaunchOptions,
    ) -> None:
        plan_processes(plan(config, options), options)
        self._options = options
        self._functions = functions
        self._classes = classes
        self._instances = sorted(config.instances, key=lambda instance: _START_ORDER.index(instance.kind))
        self._started: dict[str, ASGIApp] = {}
        self._stop = asyncio.Event()
        self._living: asyncio.Task[None] | None = None
        self._before = kept_global_config_dict()
        self._values = DictConfig({})
        with _building:  # the servers of one gym must not read the configuration of another
            self._values = replace_global_config_dict(_addressed(config))
            try:
                self._apps = {instance.name: self._app(instance) for instance in self._instances}
            except BaseException:
                restore_global_config_dict(self._before)
                raise
        head = BaseServerConfig(host=config.head_host, port=config.head_port)
        self.client = ServerClient(head, self._values)
        self.client.use_local_apps(self._started)

    async def start(self) -> None:
        """Run the start-up of every server, in the order models, environments, agents.

        Raises:
            StartError: A server failed to start, or wasn't ready within `start_timeout_s`.
            ConfigError: A server found a mistake in its settings.
        """
        raise_descriptor_limit()
        ready = asyncio.get_running_loop().create_future()
        # A task of its own: what a server opens must be closed by the task that opened it, and in a notebook `start`
        # and `stop` are called from different ones.
        self._living = asyncio.create_task(self._live(ready))
        try:
            async with asyncio.timeout(self._options.start_timeout_s):
                await asyncio.shield(ready)
        except TimeoutError as error:
            missing = [instance.name for instance in self._instances if instance.name not in self._started]
            what = f"not ready within {self._options.start_timeout_s:g} s (start_timeout_s): {', '.join(missing)}"
            await self.stop()
            raise StartError(what) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Shut every server down, within `stop_timeout_s`; what takes longer is cancelled."""
        if self._living is not None and not self._living.done():
            self._stop.set()
            if self._started.keys() != self._apps.keys():
                self._living.cancel()  # it is still starting
            _, late = await asyncio.wait([self._living], timeout=self._options.stop_timeout_s)
            for living in late:
                living.cancel()
                await asyncio.wait([living], timeout=self._options.stop_timeout_s)
        if kept_global_config_dict() is self._values:
            restore_global_config_dict(self._before)

    async def _live(self, ready: "asyncio.Future[None]") -> None:
        try:
            async with AsyncExitStack() as running:
                for name, app in self._apps.items():
                    await running.enter_async_context(app.router.lifespan_context(app))
                    self._started[name] = app
                ready.set_result(None)
                await self._stop.wait()
        except Exception as error:
            if ready.done():
                raise
            late = next((name for name in self._apps if name not in self._started), "")
            said = error if isinstance(error, ConfigError) else StartError(f"{late} failed to start: {error!r}")
            said.__cause__ = error if said is not error else None
            ready.set_exception(said)
        finally:
            self._started.clear()

    def _app(self, instance: ServerInstance) -> Any:
        server_class = self._classes.get(instance.name) or _imported(instance)
        server: Any = server_class.from_configuration(instance.name)
        server.server_client.use_local_apps(self._started)
        if instance.name in self._functions:
            server.answer_with(self._functions[instance.name])
        return server.setup_webserver()


def _imported(instance: ServerInstance) -> type[SimpleServer]:
    root = str(import_root(instance.directory))
    if root not in sys.path:
        sys.path.append(root)  # last: nothing that is installed is hidden
    return served_class(instance.entrypoint)


def _addressed(config: RunConfig) -> dict[str, Any]:
    """Return the configuration with a host and a port for every server, which nobody listens on."""
    plain = cast(dict[str, Any], OmegaConf.to_container(config.global_config_dict, resolve=True))
    plain[HEAD_SERVER_KEY_NAME]["host"] = config.head_host
    for instance in config.instances:
        plain[instance.name][instance.kind][instance.implementation] |= {"host": instance.host, "port": 0}
    return plain
