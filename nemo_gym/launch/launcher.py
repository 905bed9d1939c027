"""The launcher: owns everything a run starts, from the first socket to the last process."""

import asyncio
import importlib
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nemo_gym.config.load import RunConfig
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.config.secrets import mask_secrets
from nemo_gym.launch.addresses import Addresses
from nemo_gym.launch.plan import LaunchOptions, PlannedProcess, plan, plan_processes
from nemo_gym.launch.processes.group import ProcessGroup
from nemo_gym.launch.processes.health import HealthWatch
from nemo_gym.launch.processes.local_place import LocalPlace
from nemo_gym.launch.processes.managed import ManagedProcess
from nemo_gym.launch.processes.supervision import supervise
from nemo_gym.launch.processes.variables import (
    addressed_config,
    local_variables,
    node_variables,
    process_configs,
    shared_variables,
)
from nemo_gym.launch.ray.membership import ClusterMembership
from nemo_gym.launch.run_directory import RunDirectory
from nemo_gym.launch.sockets import RunSockets
from nemo_gym.launch.start_error import StartError, first_failure
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.addresses import ServerAddresses
from nemo_gym.servers.runs.record import ServerInstanceState
from nemo_gym.servers.runs.tls import TlsFiles

if TYPE_CHECKING:
    from nemo_gym.servers.serving.head import HeadProcess

__all__ = ["Launcher", "StartError"]

UNLOCKED = "auth=none: anyone who can reach these ports may call the servers, without a token"

_TERM_SHARE = 0.7  # of the stop budget; the rest is for SIGKILL to take effect


class Launcher:
    """Starts the servers of a run, watches them, stops them.

    Call `stop` after `start`, also after one that failed.

    Args:
        config: The checked configuration.
        options: Bounds of start, restarts and stop.
        say: Gets every line for the console: (server name, or "" for the launcher itself; text).
        run_directory: Where records and logs go; made unless given.
        is_command: False when a program owns the run, which `ng_stop` then leaves to that program.

    Attributes:
        servers: Processes by name, in the order of the configuration; empty before `start`.
        tls: Certificate files of the servers; None: they speak plain HTTP.
        access: How callers get in.

    Raises:
        ConfigError: The plan can't be made, e.g. a requirements file is missing.
    """

    def __init__(
        self,
        config: RunConfig,
        options: LaunchOptions,
        say: Callable[[str, str], None],
        run_directory: RunDirectory | None = None,
        is_command: bool = True,
    ) -> None:
        self.config = config
        self.options = options
        self.say = say
        self.planned: list[PlannedProcess] = plan_processes(plan(config, options), options)
        self.servers = ProcessGroup()
        self.run_directory = run_directory
        self.tls = TlsFiles.of(config)
        token = secrets.token_urlsafe(32) if config.wants_token else None
        self.access = RunAccess(token) if self.tls is None else RunAccess(token, self.tls.ca, self.tls.cert)
        self._is_command = is_command
        self._sockets: RunSockets | None = None
        self._starting: asyncio.Task[Any] | None = None
        self._watchers: list[asyncio.Task[None]] = []
        self._head: HeadProcess | None = None
        self._cluster = ClusterMembership(config, self.tls)
        self._addresses: Addresses | None = None
        self._public: tuple[int, dict[str, Any]] = (-1, {})
        self._lifeline: tuple[int, int] | None = None

    async def start(self) -> None:
        """Bind, build, start everything in parallel, and return when all are ready.

        Raises:
            ConfigError: A port or an environment can't be had.
            StartError: A server ended or was not ready in time.
        """
        timeout_s = self.options.start_timeout_s
        self._starting = asyncio.current_task()
        try:
            async with asyncio.timeout(timeout_s) as deadline:
                await self._start_all()
        except TimeoutError as error:
            if not deadline.expired():
                raise
            lines = [
                f"not ready within {timeout_s:g} s (start_timeout_s):",
                *(self.servers.lateness() or ["  the head"]),
            ]
            raise StartError("\n".join(lines)) from error
        finally:
            self._starting = None

    async def stop(self, *, at_once: bool = False) -> None:
        """End every process within one total budget: SIGTERM to all groups, then SIGKILL.

        May be called again, and while `start` still runs, which is cancelled then.
        """
        deadline = time.monotonic() + self.options.stop_timeout_s
        await _cancelled([*self._watchers, self._starting])
        if not at_once:
            self.servers.signal(signal.SIGTERM)
            await self.servers.ended((deadline - time.monotonic()) * _TERM_SHARE)
        self.servers.signal(signal.SIGKILL)
        ends = [self.servers.ended(deadline - time.monotonic())]
        if self._head is not None:
            ends.append(self._head.stop())
        await asyncio.gather(*ends)
        self._release()

    @property
    def run_token(self) -> str | None:
        """Callers that present it may call the servers; None with auth=none."""
        return self.access.token

    @property
    def run_id(self) -> str:
        """Name of the run; "" before `start`."""
        return "" if self.run_directory is None else self.run_directory.run_id

    def states_now(self) -> list[ServerInstanceState]:
        """Return the state of every instance at this moment."""
        assert self._addresses is not None
        return self.servers.states(self._addresses.of)

    def public_config(self) -> dict[str, Any]:
        """Return the configuration with every address of this moment filled in and every secret masked."""
        version = self._cluster.addresses.now.version
        if self._public[0] != version:
            self._public = version, mask_secrets(self.addressed_config)
        return self._public[1]

    async def addresses_after(self, version: int, wait_s: float) -> ServerAddresses:
        """Return where the placed servers are, as soon as it is newer than `version`, or after `wait_s` seconds."""
        return await self._cluster.addresses.after(version, wait_s)

    @property
    def addressed_config(self) -> dict[str, Any]:
        """The configuration with every address filled in, secrets included; empty before `start`."""
        if self._addresses is None:
            return {}
        head_host = next(iter(self._cluster.head_hosts), self.config.head_host)
        instances = [server.instance for process in self.planned for server in process.servers]
        return addressed_config(self.config, head_host, instances, self._addresses, self.tls)

    async def _start_all(self) -> None:
        directory = self._announce(has_head=False)
        self._cluster.begin(self.planned, self.run_id)
        self.planned = await self._cluster.find_places(self.planned, directory)
        await self._find_nodes(directory)
        sockets = self._bind()
        self._announce(has_head=True)
        self._make_processes(directory, sockets)
        await self.servers.bring_up(self._serve_head(sockets.head), self._cluster.joined())
        for server in self.servers.values():
            self._watchers.append(asyncio.create_task(supervise(server, self.options, self.say, self._give_up)))
            self._watchers.append(asyncio.create_task(HealthWatch(server, self.options, self.say).run()))

    async def _find_nodes(self, directory: RunDirectory) -> None:
        """Get a node for every placed process, so that all addresses are known before anything is started."""
        try:
            async with asyncio.TaskGroup() as preparing:
                for planned in self.planned:
                    place = self._cluster.places.get(planned.name)
                    if place is not None:
                        process = ManagedProcess(
                            planned, place, directory.log_path(planned.name), self.say, self.access
                        )
                        self.servers[planned.name] = process
                        preparing.create_task(place.prepare())
        except BaseExceptionGroup as group:
            raise first_failure(group) from None

    def _make_processes(self, directory: RunDirectory, sockets: RunSockets) -> None:
        configs = process_configs(self.planned, self.addressed_config)
        shared = shared_variables(self.run_token, self.tls)
        assert self._lifeline is not None
        for planned in self.planned:
            name, log_path = planned.name, directory.log_path(planned.name)
            if planned.placement is not None:
                self._cluster.places[name].give(configs[name], node_variables(planned, shared))
                self.servers[name] = self.servers.pop(name)  # in the order of the configuration
                continue
            variables = local_variables(planned, directory.write_config(name, configs[name]), shared)
            late = self._cluster.variables_for(planned)
            place = LocalPlace(planned, sockets, variables, late, log_path, self._lifeline[0], self.say)
            self.servers[name] = ManagedProcess(planned, place, log_path, self.say, self.access)

    def _announce(self, *, has_head: bool) -> RunDirectory:
        """Tell other commands about this run: before anything is bound, so that `ng_stop` finds it, and afterwards."""
        self.run_directory = self.run_directory or RunDirectory()
        if has_head and self.run_token is not None:
            self.run_directory.write_token(self.run_token)
        elif has_head:
            self.say("", UNLOCKED)
        stop_timeout_s = self.options.stop_timeout_s
        self.run_directory.announce(
            self.config, stop_timeout_s, is_command=self._is_command, has_head=has_head, access=self.access
        )
        return self.run_directory

    def _bind(self) -> RunSockets:
        here = [process for process in self.planned if process.placement is None]
        if self.tls is not None:
            instances = [server.instance.host for process in here for server in process.servers]
            self.tls.require_valid_for([self.config.head_host, *self._cluster.head_hosts, *instances])
        self._sockets = sockets = RunSockets(self.config, here, self._cluster.head_hosts)
        self._addresses = Addresses(sockets, self._cluster.addresses, is_tls=self.tls is not None)
        # Every child holds the read end: when the launcher is gone, however it died, they all notice.
        self._lifeline = os.pipe()
        return sockets

    def _give_up(self, process: ManagedProcess) -> None:
        process.place.give_up(is_last=self.servers.is_last(process))

    async def _serve_head(self, listeners: Sequence[socket.socket]) -> None:
        # Imported when the servers are already starting, and in a thread: FastAPI takes a second to load.
        await asyncio.to_thread(importlib.import_module, "nemo_gym.servers.serving.head")
        from nemo_gym.servers.serving.head import HeadProcess

        where = BaseServerConfig(host=self.config.head_host, port=self.config.head_port)
        tls = None if self.tls is None else self.tls.server_context()
        self._head = await HeadProcess.start(where, listeners, self, self.access, tls)

    def _release(self) -> None:
        if self._sockets is not None:
            self._sockets.close()
        self._cluster.leave()
        for fd in self._lifeline or ():
            os.close(fd)
        self._lifeline = None
        if self.run_directory is not None:
            self.run_directory.close_record()


async def _cancelled(tasks: Iterable["asyncio.Task[Any] | None"]) -> None:
    pending = [task for task in tasks if task is not None and not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)
