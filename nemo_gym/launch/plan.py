"""The plan of a run: its options, every instance and its environment, and the processes they are spread over."""

from dataclasses import dataclass, replace

from pydantic import BaseModel, Field

from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.load import RunConfig
from nemo_gym.config.placement import Placement
from nemo_gym.launch.environments.building import Environment, Isolate, environment_for
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
    placement: Placement | None = Field(
        default=None, description="With colocate: where on the Ray cluster each of these processes is put."
    )


COLOCATED = "colocated"


@dataclass(frozen=True)
class PlannedServer:
    """One instance and the environment it will run in."""

    instance: ServerInstance
    environment: Environment


@dataclass(frozen=True)
class PlannedProcess:
    """One process and the instances that live in it.

    Attributes:
        servers: The instances.
        is_colocated: All instances of the run are in it.
        worker: Its index where several processes share the work of these instances, else None.
        placement: Where on the cluster it is put; None: it stays on this machine.
    """

    servers: tuple[PlannedServer, ...]
    is_colocated: bool
    worker: int | None = None
    placement: Placement | None = None

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
    mistakes = _colocation_mistakes(planned) if options.colocate else _separation_mistakes(planned, options)
    if mistakes:
        raise ConfigError(*mistakes)
    if options.colocate:
        together = PlannedProcess(tuple(planned), True, placement=options.placement)
        return with_workers(together, options.num_workers)
    return [
        process
        for server in planned
        for process in with_workers(
            PlannedProcess((server,), False, placement=server.instance.placement), server.instance.num_workers
        )
    ]


def with_workers(process: PlannedProcess, number: int) -> list[PlannedProcess]:
    """Return so many processes that share the work of one."""
    return [process] if number == 1 else [replace(process, worker=index) for index in range(number)]


def _separation_mistakes(planned: list[PlannedServer], options: LaunchOptions) -> list[Mistake]:
    given = {"num_workers": options.num_workers != 1, "placement": options.placement is not None}
    fix = "set it inside the instance that it is for; or put all servers into each process: +colocate=true"
    mistakes = [
        Mistake(f"{key} of the whole run needs colocate=true", where=key, fix=fix)
        for key, is_set in given.items()
        if is_set
    ]
    return mistakes + [mistake for server in planned for mistake in _every_node_mistakes(server.instance)]


def _every_node_mistakes(instance: ServerInstance) -> list[Mistake]:
    if instance.placement is None or not instance.placement.every_node or instance.num_workers == 1:
        return []
    where = f"{instance.name}.{instance.kind}.{instance.implementation}.num_workers"
    what = f"{instance.name} has one worker on every node, and num_workers too"
    return [Mistake(what, where, fix="leave num_workers or every_node out")]


def _colocation_mistakes(planned: list[PlannedServer]) -> list[Mistake]:
    mistakes = []
    for server in planned:
        instance = server.instance
        where = f"{instance.name}.{instance.kind}.{instance.implementation}"
        if instance.num_workers > 1:
            fix = "leave it out, and set +num_workers for the whole run"
            mistakes.append(Mistake("colocated, all servers have the same workers", f"{where}.num_workers", fix=fix))
        if instance.placement is not None:
            fix = "give the placement of the whole run: +placement={...}"
            mistakes.append(Mistake("colocated, all servers are put in the same place", f"{where}.placement", fix=fix))
        if server.environment.folder is not None:
            what = f"{instance.name} needs a Python environment of its own, so it can't share a process"
            fix = "install what its requirements.txt asks for; or +isolate=never; or leave colocate out"
            mistakes.append(Mistake(what, where=where, fix=fix))
    return mistakes
