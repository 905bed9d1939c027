"""One process of a run over all its restarts: its plan, place, log and state, and the process of the moment."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.launch.place import Place, RunningProcess, ended_or
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.launch.start_error import StartError, refused_settings
from nemo_gym.launch.terminal.start_advice import about_missing_module, about_unserved
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.record import ServerInstanceState

_TAIL_IN_MESSAGE = 10


class ManagedProcess:
    """Brings one planned process up, as often as asked, and knows how it is.

    Args:
        planned: The process.
        place: Where it is started.
        log_path: Gets its output.
        say: Gets lines for the console, as in `Launcher`.
        access: How its servers are called.

    Attributes:
        state: starting, ready, unresponsive, restarting or failed, as the head reports it.
        reason: Why it is unresponsive, where that is known.
        process: The current process, or the last one; None before the first.
    """

    def __init__(
        self,
        planned: PlannedProcess,
        place: Place,
        log_path: Path,
        say: Callable[[str, str], None],
        access: RunAccess,
    ) -> None:
        self.planned = planned
        self.access = access
        self.place = place
        self.state = "starting"
        self.reason: str | None = None
        self.process: RunningProcess | None = None
        self._starts = 0
        self._code_digests: Mapping[str, str | None] = {}
        self._log_path = log_path
        self._say = say

    @property
    def name(self) -> str:
        """Name of the process."""
        return self.planned.name

    @property
    def is_running(self) -> bool:
        """Tell whether there is a process."""
        return self.process is not None and self.process.is_running

    @property
    def phase(self) -> str:
        """How far the start has come: what its place does, then importing, binding, starting, ready."""
        if self.place.activity:
            return self.place.activity
        return "waiting to be started" if self.process is None else self.process.phase

    async def bring_up(self) -> None:
        """Build what is missing, start the process, and return when it is ready. The caller sets the deadline.

        Raises:
            ConfigError: Its environment can't be built.
            StartError: It ended before it was ready.
        """
        await self.place.prepare()
        # Before the process reads it, so that what changes in between counts as changed later.
        self._code_digests = await self.place.code_digests()
        self.process = process = await self.place.start(self._show)
        self._starts += 1
        await ended_or(process, process.ready)
        if process.ended.done():
            raise self.end_before_ready()
        self.state = "ready"

    def end_before_ready(self) -> StartError:
        """Return the error for a process that ended while the run was starting."""
        mistakes = refused_settings(list(self.process.tail)) if self.process else []
        if mistakes:
            lines = [f"{self.name} can't run with its settings (log: {self._log_path})", *mistakes]
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
        how = "was not started" if self.process is None else self.process.how_it_ended
        heading = f"{self.name} {how} {when} (phase: {self.phase}; log: {self._log_path})"
        return "\n".join([heading, *details])

    def lateness(self) -> str:
        """Return what the instance is still doing while it isn't ready, with its last output."""
        heading = f"  {self.name}: still {self.phase}; log {self._log_path}"
        return "\n".join([heading, *self._quoted_tail()[-_TAIL_IN_MESSAGE:]])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process group, if there is one."""
        if self.process is not None:
            self.process.signal_group(number)

    def snapshots(self, address_of: Callable[[ServerInstance], tuple[str, int]]) -> list[ServerInstanceState]:
        """Return the state of its instances at this moment; `address_of` gives where all workers of one are called."""
        return [self._snapshot(server.instance, address_of(server.instance)) for server in self.planned.servers]

    def _snapshot(self, instance: ServerInstance, address: tuple[str, int]) -> ServerInstanceState:
        running = self.process if self.is_running else None
        host, port = self.place.own_address(instance.name) or address
        return ServerInstanceState(
            name=instance.name,
            kind=instance.kind,
            implementation=instance.implementation,
            host=host,
            port=port,
            url=self.access.url(host, port),
            node=self.place.node,
            restarts=max(0, self._starts - 1),
            worker=self.planned.worker,
            pid=None if running is None else running.pid,
            state=self.state,
            reason=self.reason if self.state == "unresponsive" else None,
            log=str(self._log_path),
            folder=str(instance.directory),
            code_digest=None if running is None else self._code_digests[instance.name],
        )

    def _show(self, line: str) -> None:
        node = self.place.node
        self._say(self.name if node is None else f"{self.name}@{node}", line)

    def _quoted_tail(self) -> list[str]:
        return [f"    | {line}" for line in self._tail()]

    def _tail(self) -> list[str]:
        if self.process is not None:
            return list(self.process.tail)
        log = self._log_path
        return log.read_text(errors="replace").splitlines() if log.exists() else []
