"""The plan of a run: its options, every instance and its environment, and the processes they are spread over."""

from dataclasses import dataclass

from pydantic import BaseModel, Field

from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.load import RunConfig
from nemo_gym.launch.processes.environments import Environment, Isolate, environment_for
from nemo_gym.launch.sandbox_check import check_sandbox


class LaunchOptions(BaseModel):
    """Bounds of start, restarts and stop. Times in seconds."""

    start_timeout_s: float = Field(default=120.0, gt=0, description="All servers must be ready within this time.")
    stop_timeout_s: float = Field(default=5.0, gt=0, description="Everything is stopped within this time.")
    isolate: Isolate = Field(
        default="auto",
        description="Own Python environments for servers: auto (where requirements ask for more than is installed), "
        "always, never.",
    )
    max_restarts: int = Field(default=3, ge=0, description="Restarts of a server that dies, within the window.")
    restart_window_s: float = Field(default=300.0, gt=0, description="Window for max_restarts.")
    unresponsive_after_s: float = Field(
        default=10.0, gt=0, description="A server that hasn't answered /health for so long is shown as unresponsive."
    )
    restart_unresponsive_after_s: float | None = Field(
        default=None, gt=0, description="A server that hasn't answered /health for so long is restarted; null: never."
    )
    colocate: bool = Field(default=False, description="All servers in one process, in memory for each other.")
    num_workers: int = Field(default=1, ge=1, description="With colocate: so many processes, each with all servers.")


COLOCATED = "colocated"


@dataclass(frozen=True)
class PlannedServer:
    """One instance and the environment it will run in."""

    instance: ServerInstance
    environment: Environment


@dataclass(frozen=True)
class PlannedProcess:
    """One process and the instances that live in it. `worker` is its index where several share them, else None."""

    servers: tuple[PlannedServer, ...]
    is_colocated: bool
    worker: int | None = None

    @property
    def name(self) -> str:
        """Name in logs: the instance's, or `colocated`; with the worker's index where there are several."""
        name = COLOCATED if self.is_colocated else self.servers[0].instance.name
        return name if self.worker is None else f"{name}.{self.worker}"

    @property
    def environment(self) -> Environment:
        """The one environment of all its instances."""
        return self.servers[0].environment


def plan(config: RunConfig, options: LaunchOptions) -> list[PlannedServer]:
    """Decide for every instance where it runs; starts and builds nothing.

    Raises:
        ConfigError: An instance's requirements can't be read, or this machine lacks the sandbox that the run requires.
    """
    check_sandbox(config)
    version = config.global_config_dict.get("python_version")
    return [PlannedServer(i, environment_for(i.directory, options.isolate, version)) for i in config.instances]


def plan_processes(planned: list[PlannedServer], options: LaunchOptions) -> list[PlannedProcess]:
    """Spread the instances over processes: one or more for each, or all together in one or more.

    Raises:
        ConfigError: The settings contradict each other.
    """
    mistakes = _colocation_mistakes(planned) if options.colocate else _separation_mistakes(options)
    if mistakes:
        raise ConfigError(*mistakes)
    if options.colocate:
        return [PlannedProcess(tuple(planned), True, worker) for worker in _workers(options.num_workers)]
    return [
        PlannedProcess((server,), False, worker)
        for server in planned
        for worker in _workers(server.instance.num_workers)
    ]


def _workers(number: int) -> list[int | None]:
    return [None] if number == 1 else list(range(number))


def _separation_mistakes(options: LaunchOptions) -> list[Mistake]:
    if options.num_workers == 1:
        return []
    fix = "set it inside the instance that needs more workers; or put all servers into each process: +colocate=true"
    return [Mistake("num_workers of the whole run needs colocate=true", where="num_workers", fix=fix)]


def _colocation_mistakes(planned: list[PlannedServer]) -> list[Mistake]:
    mistakes = []
    for server in planned:
        instance = server.instance
        where = f"{instance.name}.{instance.kind}.{instance.implementation}"
        if instance.num_workers > 1:
            fix = "leave it out, and set +num_workers for the whole run"
            mistakes.append(Mistake("colocated, all servers have the same workers", f"{where}.num_workers", fix=fix))
        if server.environment.folder is not None:
            what = f"{instance.name} needs a Python environment of its own, so it can't share a process"
            fix = "install what its requirements.txt asks for; or +isolate=never; or leave colocate out"
            mistakes.append(Mistake(what, where=where, fix=fix))
    return mistakes
