"""The launcher: owns everything a run starts, from the first socket to the last process."""

import asyncio
import importlib
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nemo_gym.config.load import RunConfig
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.config.secrets import mask_secrets
from nemo_gym.launch.plan import LaunchOptions, PlannedProcess, plan, plan_processes
from nemo_gym.launch.processes.health import HealthWatch
from nemo_gym.launch.processes.managed import ManagedProcess
from nemo_gym.launch.processes.supervision import supervise
from nemo_gym.launch.processes.variables import addressed_config, process_configs, process_variables
from nemo_gym.launch.ray import join_ray
from nemo_gym.launch.run_directory import RunDirectory
from nemo_gym.launch.sockets import RunSockets
from nemo_gym.launch.start_error import StartError, first_failure
from nemo_gym.servers.runs.record import ServerInstanceState

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
        run_token: Callers that present it may call the servers; None with auth=none.

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
        self.servers: dict[str, ManagedProcess] = {}
        self.run_directory = run_directory
        self.run_token = secrets.token_urlsafe(32) if config.wants_token else None
        self._is_command = is_command
        self._sockets: RunSockets | None = None
        self._starting: asyncio.Task[Any] | None = None
        self._watchers: list[asyncio.Task[None]] = []
        self._head: HeadProcess | None = None
        self._addressed: dict[str, Any] = {}
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
            late = [server.lateness() for server in self.servers.values() if server.state != "ready"]
            lines = [f"not ready within {timeout_s:g} s (start_timeout_s):", *(late or ["  the head"])]
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
            self._signal_all(signal.SIGTERM)
            await self._all_ended((deadline - time.monotonic()) * _TERM_SHARE)
        self._signal_all(signal.SIGKILL)
        ends = [self._all_ended(deadline - time.monotonic())]
        if self._head is not None:
            ends.append(self._head.stop())
        await asyncio.gather(*ends)
        self._release()

    def states_now(self) -> list[ServerInstanceState]:
        """Return the state of every instance at this moment."""
        assert self._sockets is not None
        port_of = self._sockets.port_of
        return [state for process in self.servers.values() for state in process.snapshots(port_of)]

    def public_config(self) -> dict[str, Any]:
        """Return the configuration with every address filled in and every secret masked."""
        return mask_secrets(self._addressed)

    @property
    def addressed_config(self) -> dict[str, Any]:
        """The configuration with every address filled in, secrets included; empty before `start`."""
        return self._addressed

    async def _start_all(self) -> None:
        directory = self._announce(has_head=False)
        sockets = self._bind()
        self._announce(has_head=True)
        ray_variables = await join_ray(self.config)
        configs = process_configs(self.planned, self._addressed)
        files = {name: directory.write_config(name, text) for name, text in configs.items()}
        variables = process_variables(self.planned, files, self.run_token)
        assert self._lifeline is not None
        for planned in self.planned:
            log_path = directory.log_path(planned.name)
            told = {**variables[planned.name], **ray_variables}
            self.servers[planned.name] = ManagedProcess(planned, sockets, told, log_path, self._lifeline[0], self.say)
        await self._bring_all_up(sockets.head)
        for server in self.servers.values():
            self._watchers.append(asyncio.create_task(supervise(server, self.options, self.say, self._give_up)))
            self._watchers.append(asyncio.create_task(HealthWatch(server, self.options, self.say).run()))

    def _announce(self, *, has_head: bool) -> RunDirectory:
        """Tell other commands about this run: before anything is bound, so that `ng_stop` finds it, and afterwards."""
        self.run_directory = self.run_directory or RunDirectory()
        if has_head and self.run_token is not None:
            self.run_directory.write_token(self.run_token)
        elif has_head:
            self.say("", UNLOCKED)
        stop_timeout_s = self.options.stop_timeout_s
        self.run_directory.announce(self.config, stop_timeout_s, is_command=self._is_command, has_head=has_head)
        return self.run_directory

    def _bind(self) -> RunSockets:
        config = self.config
        self._sockets = sockets = RunSockets(config, self.planned)
        self._addressed = addressed_config(config, sockets)
        # Every child holds the read end: when the launcher is gone, however it died, they all notice.
        self._lifeline = os.pipe()
        return sockets

    def _give_up(self, process: ManagedProcess) -> None:
        others = [p for p in self.servers.values() if p.planned.servers == process.planned.servers]
        if self._sockets is not None:
            self._sockets.give_up(process.planned, is_last=all(other.state == "failed" for other in others))

    async def _bring_all_up(self, head: socket.socket) -> None:
        """Return when all servers and the head are ready; the first that fails ends the start."""
        all_ready = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.TaskGroup() as starting:
                for server in self.servers.values():
                    starting.create_task(self._bring_up(server, all_ready))
                starting.create_task(self._serve_head(head))
        except BaseExceptionGroup as group:
            raise first_failure(group) from None

    async def _bring_up(self, server: ManagedProcess, all_ready: "asyncio.Future[None]") -> None:
        await server.bring_up()
        if all(other.state == "ready" for other in self.servers.values()) and not all_ready.done():
            all_ready.set_result(None)
        assert server.process is not None
        await server.process.ended_or(all_ready)
        if server.process.ended.done():
            raise StartError(server.death("while others were starting"))

    async def _serve_head(self, listener: socket.socket) -> None:
        # Imported when the servers are already starting, and in a thread: FastAPI takes a second to load.
        await asyncio.to_thread(importlib.import_module, "nemo_gym.servers.serving.head")
        from nemo_gym.servers.serving.head import HeadProcess

        where = BaseServerConfig(host=self.config.head_host, port=self.config.head_port)
        run_id = self.run_directory.run_id if self.run_directory else ""
        self._head = await HeadProcess.start(
            where, listener, self.public_config(), self.states_now, run_id, self.run_token
        )

    def _signal_all(self, number: signal.Signals) -> None:
        for server in self.servers.values():
            server.signal(number)

    async def _all_ended(self, timeout_s: float) -> None:
        ends = [server.process.ended for server in self.servers.values() if server.process is not None]
        if ends:
            await asyncio.wait(ends, timeout=max(timeout_s, 0.1))

    def _release(self) -> None:
        if self._sockets is not None:
            self._sockets.close()
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
