"""The launcher: owns everything a run starts, from the first socket to the last process."""

import asyncio
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nemo_gym.config.load import RunConfig
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.config.secrets import mask_secrets
from nemo_gym.launch.environments import build
from nemo_gym.launch.options import LaunchOptions
from nemo_gym.launch.plan import PlannedServer, addressed_config, plan, process_environments
from nemo_gym.launch.process import ProcessSpec, ServerProcess
from nemo_gym.launch.run_directory import RunDirectory
from nemo_gym.launch.sockets import bind_head, bind_servers
from nemo_gym.servers.instance_state import ServerInstanceState

if TYPE_CHECKING:
    from nemo_gym.launch.head_process import HeadProcess

_FIRST_RESTART_DELAY_S = 0.5


class StartError(Exception):
    """The run could not be started; the message is for the person at the keyboard."""


class Launcher:
    """Starts the servers of a run, watches them, stops them.

    Args:
        config: The checked configuration.
        options: Bounds of start, restarts and stop.
        say: Gets every line for the console: (server name, or "" for the launcher itself; text).
    """

    def __init__(self, config: RunConfig, options: LaunchOptions, say: Callable[[str, str], None]) -> None:
        self.config = config
        self.options = options
        self.say = say
        self.servers: dict[str, ServerProcess] = {}
        self.states: dict[str, str] = {}
        self.planned: list[PlannedServer] = plan(config, options)
        self._listeners: dict[str, socket.socket] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._head: HeadProcess | None = None
        # Every child holds the read end: when the launcher is gone, however it died, they all notice.
        self._lifeline_read, self._lifeline_write = os.pipe()

    async def start(self) -> None:
        """Bind, build, start everything in parallel, and return when all are ready.

        Raises:
            ConfigError: A port or an environment can't be had; nothing is left behind.
            StartError: A server ended or was not ready in time; everything is stopped again.
        """
        try:
            async with asyncio.timeout(self.options.start_timeout_s) as deadline:
                await self._start_all()
        except TimeoutError as error:
            if not deadline.expired():
                raise
            message = self._not_ready_message()
            await self.stop()
            raise StartError(message) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self, *, at_once: bool = False) -> None:
        """End every process within one total budget: SIGTERM to all groups, then SIGKILL."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        running = [server for server in self.servers.values() if server.returncode is None]
        if not at_once:
            for server in running:
                server.signal_group(signal.SIGTERM)
            await self._all_ended(running, self.options.stop_timeout_s * 0.8)
        for server in self.servers.values():  # also what a server may have left in its group
            server.signal_group(signal.SIGKILL)
        await self._all_ended(running, self.options.stop_timeout_s * 0.2)
        if self._head is not None:
            await self._head.stop()
        self._release()

    def public_config(self) -> dict[str, Any]:
        """Return the configuration with everyone's address and without secrets, as the head tells it."""
        return mask_secrets(self._addressed)  # type: ignore[no-any-return]

    def states_now(self) -> list[ServerInstanceState]:
        """Return the state of every instance at this moment."""
        return [self._state_of(planned) for planned in self.planned]

    async def _start_all(self) -> None:
        config = self.config
        head = bind_head(config.head_host, config.head_port)
        self._listeners[""] = head
        disallowed = [config.head_port, *config.global_config_dict.get("disallowed_ports", [])]
        self._listeners |= bind_servers(config.instances, disallowed)
        self.run_directory = RunDirectory()
        self._addressed = addressed_config(config, self._listeners)
        self._environments = process_environments(config, self._addressed)
        async with asyncio.TaskGroup() as starting:
            for planned in self.planned:
                starting.create_task(self._start_one(planned))
        await self._serve_head(head)
        names = tuple(self.servers)
        self.run_directory.write_record(config.head_host, config.head_port, names)
        await self._wait_until_ready()
        self._tasks += [asyncio.create_task(self._supervise(planned)) for planned in self.planned]

    async def _start_one(self, planned: PlannedServer) -> None:
        name = planned.instance.name
        log_path = self.run_directory.log_path(name)
        if not planned.environment.is_built:
            self.states[name] = "installing"
            self.say(name, f"building an environment (log: {log_path})")
            await build(planned.environment, log_path, self.config.global_config_dict.get("python_version"))
        spec = ProcessSpec(
            name=name,
            python=planned.environment.python,
            entrypoint=planned.instance.entrypoint,
            environment=self._environments[name],
            listener=self._listeners[name],
            log_path=log_path,
        )
        self.states[name] = "starting"
        self.servers[name] = await ServerProcess.start(spec, self._lifeline_read, lambda line: self.say(name, line))

    async def _serve_head(self, listener: socket.socket) -> None:
        # Imported when the servers are already starting: FastAPI takes a second to load.
        from nemo_gym.launch.head_process import HeadProcess

        where = BaseServerConfig(host=self.config.head_host, port=self.config.head_port)
        public = self.public_config()
        run_id = self.run_directory.run_id
        self._head = await HeadProcess.start(where, listener, public, self.states_now, run_id)

    async def _wait_until_ready(self) -> None:
        ready = [asyncio.ensure_future(server.ready.wait()) for server in self.servers.values()]
        ended = {asyncio.ensure_future(server.wait()): server for server in self.servers.values()}
        everyone: asyncio.Future[Any] = asyncio.gather(*ready)
        waits: list[asyncio.Future[Any]] = [everyone, *ended]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task, server in ended.items():
                if task.done():
                    raise StartError(_ended_message(server, "before it was ready"))
        finally:
            everyone.cancel()
            for task in ended:
                task.cancel()
        for name in self.servers:
            self.states[name] = "ready"

    async def _supervise(self, planned: PlannedServer) -> None:
        """Restart one server when it dies, a few times within a window of time."""
        name = planned.instance.name
        deaths: deque[float] = deque(maxlen=self.options.max_restarts + 1)
        while True:
            await self.servers[name].wait()
            if self._stopping:
                return
            self.servers[name].signal_group(signal.SIGKILL)  # what it left behind is of no use to its successor
            deaths.append(time.monotonic())
            self.say("", _ended_message(self.servers[name], "while running"))
            recent = [at for at in deaths if deaths[-1] - at < self.options.restart_window_s]
            if len(recent) > self.options.max_restarts:
                self._give_up(name)
                return
            self.states[name] = "restarting"
            await asyncio.sleep(_FIRST_RESTART_DELAY_S * 2 ** (len(recent) - 1))
            await self._start_one(planned)
            await self._ready_or_ended(self.servers[name])

    async def _ready_or_ended(self, server: ServerProcess) -> None:
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(server.ready.wait()),
            asyncio.ensure_future(server.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=self.options.start_timeout_s)
        for task in waits:
            task.cancel()
        if server.ready.is_set():
            self.states[server.spec.name] = "ready"
            self.say("", f"{server.spec.name} is ready again (pid {server.pid})")
        elif server.returncode is None:
            self.say("", f"{server.spec.name} was not ready in time after its restart (start_timeout_s): killed")
            server.signal_group(signal.SIGKILL)

    def _give_up(self, name: str) -> None:
        self.states[name] = "failed"
        self._listeners[name].close()  # who calls it is refused at once instead of waiting in a queue nobody serves
        bound = f"{self.options.max_restarts} restarts in {self.options.restart_window_s:g} s (max_restarts)"
        self.say("", f"{name} died again after {bound}: not started any more")

    def _state_of(self, planned: PlannedServer) -> ServerInstanceState:
        instance, server = planned.instance, self.servers.get(planned.instance.name)
        block = self._addressed[instance.name][instance.kind][instance.implementation]
        return ServerInstanceState(
            name=instance.name,
            kind=instance.kind,
            implementation=instance.implementation,
            host=instance.host,
            port=block["port"],
            url=f"http://{instance.host}:{block['port']}",
            pid=None if server is None or server.returncode is not None else server.pid,
            state=self.states.get(instance.name, "starting"),
            log=str(self.run_directory.log_path(instance.name)),
        )

    def _not_ready_message(self) -> str:
        lines = [f"not ready within {self.options.start_timeout_s:g} s (start_timeout_s):"]
        for name, server in self.servers.items():
            if not server.ready.is_set():
                lines += [f"  {name}: still {server.phase}; log {server.spec.log_path}"]
                lines += [f"    | {line}" for line in list(server.pump.tail)[-8:]]
        lines += [f"  {name}: {state}" for name, state in self.states.items() if name not in self.servers]
        return "\n".join(lines)

    def _release(self) -> None:
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        for fd in (self._lifeline_read, self._lifeline_write):
            if fd >= 0:
                os.close(fd)
        self._lifeline_read = self._lifeline_write = -1

    @staticmethod
    async def _all_ended(servers: list[ServerProcess], timeout_s: float) -> None:
        if servers:
            await asyncio.wait([asyncio.ensure_future(server.wait()) for server in servers], timeout=timeout_s)


def _ended_message(server: ServerProcess, when: str) -> str:
    status = server.returncode
    how = f"was ended by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
    lines = [f"{server.spec.name} {how} {when} (phase: {server.phase}; log: {server.spec.log_path})"]
    return "\n".join(lines + [f"    | {line}" for line in server.pump.tail])
