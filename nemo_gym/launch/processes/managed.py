"""One process of a run over all its restarts: its plan, sockets, log and state, and the process of the moment."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nemo_gym.config.addresses import http_url
from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.config.code_digest import component_digest
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.launch.processes.environments import build
from nemo_gym.launch.processes.process import ProcessSpec, ServerProcess
from nemo_gym.launch.sockets import RunSockets
from nemo_gym.launch.start_error import StartError, refused_settings
from nemo_gym.launch.terminal.start_advice import about_missing_module, about_unserved
from nemo_gym.servers.runs.record import ServerInstanceState

_TAIL_IN_MESSAGE = 10


class ManagedProcess:
    """Brings one planned process up, as often as asked, and knows how it is.

    Attributes:
        state: starting, ready, unresponsive, restarting or failed, as the head reports it.
        health_address: Where this process and no other answers `/health`: host, port.
        process: The current process, or the last one; None before the first.
    """

    def __init__(
        self,
        planned: PlannedProcess,
        sockets: RunSockets,
        variables: Mapping[str, str],
        log_path: Path,
        lifeline_fd: int,
        say: Callable[[str, str], None],
    ) -> None:
        self.planned = planned
        self.state = "starting"
        self.process: ServerProcess | None = None
        self._installing = False
        self._code_digests: Mapping[str, str | None] = {}
        self._say = say
        self._spec = ProcessSpec(
            python=planned.environment.python,
            command=_command(planned),
            folder=Path.cwd() if planned.is_colocated else planned.servers[0].instance.directory,
            variables=variables,
            listeners=sockets.of_process(planned),
            log_path=log_path,
            lifeline_fd=lifeline_fd,
        )
        own_listener = next(iter(self._spec.listeners.values()))[-1]  # the first may be shared with other workers
        self.health_address: tuple[str, int] = own_listener.getsockname()[:2]

    @property
    def name(self) -> str:
        """Name of the process."""
        return self.planned.name

    @property
    def is_running(self) -> bool:
        """Tell whether there is a process."""
        return self.process is not None and self.process.returncode is None

    @property
    def phase(self) -> str:
        """How far the start has come: installing, importing, binding, starting, ready."""
        if self._installing or self.process is None:
            return "installing" if self._installing else "waiting to be started"
        return self.process.phase

    async def bring_up(self) -> None:
        """Build what is missing, start the process, and return when it is ready. The caller sets the deadline.

        Raises:
            ConfigError: Its environment can't be built.
            StartError: It ended before it was ready.
        """
        await self._install()
        # Before the process reads it, so that what changes in between counts as changed later.
        self._code_digests = await asyncio.to_thread(self._read_code)
        self.process = process = await ServerProcess.start(self._spec, lambda line: self._say(self.name, line))
        await process.ended_or(process.ready)
        if process.ended.done():
            raise self.end_before_ready()
        self.state = "ready"

    def end_before_ready(self) -> StartError:
        """Return the error for a process that ended while the run was starting."""
        mistakes = refused_settings(list(self.process.pump.tail)) if self.process else []
        if mistakes:
            lines = [f"{self.name} can't run with its settings (log: {self._spec.log_path})", *mistakes]
            return StartError("\n".join(lines), is_mistake=True)
        return StartError(self._end("before it was ready", self._advice() or self._quoted_tail()))

    def _advice(self) -> list[str]:
        instances = [server.instance for server in self.planned.servers]
        about = about_missing_module(self._tail(), [instance.directory for instance in instances])
        is_unserved = self.process is not None and self.process.returncode == 0 and self.phase == "importing"
        if not about and is_unserved and not self.planned.is_colocated:
            about = [*self._quoted_tail(), *about_unserved(Path(instances[0].entrypoint))]
        return about

    async def until_death(self) -> str:
        """Wait for the running process to end; return what to say about it."""
        assert self.process is not None
        # Not awaited itself: it would be cancelled with the supervisor, and a stop would take the process for ended.
        await asyncio.wait([self.process.ended])
        return self.death("while running")

    def death(self, when: str) -> str:
        """Return how the process ended, with its last output."""
        return self._end(when, self._quoted_tail())

    def _end(self, when: str, details: Sequence[str]) -> str:
        status = None if self.process is None else self.process.returncode
        by_signal = status is not None and status < 0
        how = f"was ended by {_signal_name(-(status or 0))}" if by_signal else f"ended with status {status}"
        heading = f"{self.name} {how} {when} (phase: {self.phase}; log: {self._spec.log_path})"
        return "\n".join([heading, *details])

    def lateness(self) -> str:
        """Return what the instance is still doing while it isn't ready, with its last output."""
        heading = f"  {self.name}: still {self.phase}; log {self._spec.log_path}"
        return "\n".join([heading, *self._quoted_tail()[-_TAIL_IN_MESSAGE:]])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process group, if there is one."""
        if self.process is not None:
            self.process.signal_group(number)

    def snapshots(self, port_of: Callable[[str], int]) -> list[ServerInstanceState]:
        """Return the state of its instances at this moment."""
        return [self._snapshot(server.instance, port_of(server.instance.name)) for server in self.planned.servers]

    def _snapshot(self, instance: ServerInstance, port: int) -> ServerInstanceState:
        running = self.process if self.is_running else None
        return ServerInstanceState(
            name=instance.name,
            kind=instance.kind,
            implementation=instance.implementation,
            host=instance.host,
            port=port,
            url=http_url(instance.host, port),
            worker=self.planned.worker,
            pid=None if running is None else running.pid,
            state=self.state,
            log=str(self._spec.log_path),
            folder=str(instance.directory),
            code_digest=None if running is None else self._code_digests[instance.name],
        )

    def _read_code(self) -> dict[str, str | None]:
        instances = [server.instance for server in self.planned.servers]
        return {instance.name: component_digest(instance.directory) for instance in instances}

    async def _install(self) -> None:
        environment = self.planned.environment
        if environment.is_built:
            return
        self._installing = True
        self._say(self.name, f"building an environment (log: {self._spec.log_path})")
        await build(environment, self._spec.log_path)
        self._installing = False

    def _quoted_tail(self) -> list[str]:
        return [f"    | {line}" for line in self._tail()]

    def _tail(self) -> list[str]:
        if self.process is not None:
            return list(self.process.pump.tail)
        log = self._spec.log_path
        return log.read_text(errors="replace").splitlines() if log.exists() else []


def _command(planned: PlannedProcess) -> tuple[str, ...]:
    if planned.is_colocated:
        return ("-m", "nemo_gym.launch.processes.colocated")
    return (str(planned.servers[0].instance.entrypoint),)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
