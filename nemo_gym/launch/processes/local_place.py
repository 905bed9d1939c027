"""A place on this machine: an environment, the sockets that the launcher bound, and what the process is told."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.config.code_digest import component_digest
from nemo_gym.launch.environments.building import build
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.launch.processes.process import ProcessSpec, ServerProcess
from nemo_gym.launch.sockets import RunSockets


class LocalPlace:
    """Starts one planned process here, as often as asked.

    Args:
        planned: The process.
        sockets: Those of the run.
        variables: Its environment variables.
        late_variables: Further ones, which the start has to wait for.
        log_path: Gets its output, and that of the installer.
        lifeline_fd: Read end of a pipe that closes when the launcher is gone.
        say: Gets lines for the console, as in `Launcher`.
    """

    node = None

    def __init__(
        self,
        planned: PlannedProcess,
        sockets: RunSockets,
        variables: Mapping[str, str],
        late_variables: Callable[[], Awaitable[Mapping[str, str]]] | None,
        log_path: Path,
        lifeline_fd: int,
        say: Callable[[str, str], None],
    ) -> None:
        self.activity = ""
        self._planned = planned
        self._sockets = sockets
        self._variables = dict(variables)
        self._late_variables = late_variables
        self._listeners = sockets.of_process(planned)
        self._log_path = log_path
        self._lifeline_fd = lifeline_fd
        self._say = say

    @property
    def health_address(self) -> tuple[str, int]:
        """Where this process and no other answers: the first of several sockets is shared with other workers."""
        own_listener = next(iter(self._listeners.values()))[-1]
        host, port = own_listener.getsockname()[:2]
        return host, port

    def own_address(self, instance: str) -> None:
        """Return None: workers on one machine share the address of their instance."""

    async def prepare(self) -> None:
        """Build the environment unless it is there, and wait for what isn't known yet."""
        environment = self._planned.environment
        if not environment.is_built:
            self.activity = "installing"
            self._say(self._planned.name, f"building an environment (log: {self._log_path})")
            await build(environment, self._log_path)
        if self._late_variables is not None:
            self.activity = "waiting for Ray"
            self._variables.update(await self._late_variables())
        self.activity = ""

    async def code_digests(self) -> dict[str, str | None]:
        """Return the digest of the code that is in the folders now, by instance."""
        return await asyncio.to_thread(code_digests, [server.instance for server in self._planned.servers])

    async def start(self, show: Callable[[str], None]) -> ServerProcess:
        """Start the process."""
        planned = self._planned
        spec = ProcessSpec(
            python=planned.environment.python,
            command=_command(planned),
            folder=Path.cwd() if planned.is_colocated else planned.servers[0].instance.directory,
            variables=self._variables,
            listeners=self._listeners,
            log_path=self._log_path,
            lifeline_fd=self._lifeline_fd,
        )
        return await ServerProcess.start(spec, show)

    def give_up(self, *, is_last: bool) -> None:
        """Refuse calls at once, instead of letting them wait for a process that won't come back."""
        self._sockets.give_up(self._planned, is_last=is_last)


def code_digests(instances: Iterable[ServerInstance]) -> dict[str, str | None]:
    """Return the digest of the code that is in the folders of instances now, by name."""
    return {instance.name: component_digest(instance.directory) for instance in instances}


def _command(planned: PlannedProcess) -> tuple[str, ...]:
    if planned.is_colocated:
        return ("-m", "nemo_gym.launch.processes.colocated")
    return (str(planned.servers[0].instance.entrypoint),)
