"""A place on a node of the cluster, for one process of the run; after a loss, on another node."""

import asyncio
import secrets
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.launch.addresses import Address, MovingAddresses
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.launch.processes.process import TAIL_LINES
from nemo_gym.launch.ray.cluster import Cluster, amounts
from nemo_gym.launch.ray.node_process import News, StartOrder
from nemo_gym.launch.ray.shipment import Shipment, script_on_node
from nemo_gym.launch.start_error import StartError
from nemo_gym.ray_connection import first_line
from nemo_gym.servers.runs.tls import TlsFiles
from nemo_gym.wire.scrubber import KNOWN_SECRETS

LOST_AFTER_S = 25.0
"""A node that hasn't answered for so long is given up. Its process has ended itself by then, if it still lives."""


class NodePlace:
    """Starts one planned process on a node, as often as asked.

    Args:
        planned: The process.
        cluster: Gives the node.
        shipment: The code of the run, as a reference to Ray's object store.
        wanted: `name==version` of what a node must have installed.
        addresses: Is told where the process is.
        log_path: Gets its output.
        tls: With what it proves who it is; the files are on the node.
    """

    def __init__(
        self,
        planned: PlannedProcess,
        cluster: Cluster,
        shipment: tuple[Any, Shipment],
        wanted: Sequence[str],
        addresses: MovingAddresses,
        disallowed_ports: Sequence[int],
        log_path: Path,
        tls: TlsFiles | None = None,
    ) -> None:
        self.activity = ""
        self.node: str | None = None
        self._config = ""
        self._variables: dict[str, str] = {}
        self._planned = planned
        self._cluster = cluster
        self._code, self._shipment = shipment
        self._wanted = list(wanted)
        self._addresses = addresses
        self._disallowed = list(disallowed_ports)
        self._log_path = log_path
        self._tls = tls
        self._bound: dict[str, Address] = {}
        self._actor: Any = None
        self._is_used = False

    @property
    def health_address(self) -> Address:
        """Where this process and no other answers."""
        return next(iter(self._bound.values()))

    def own_address(self, instance: str) -> Address | None:
        """Return where an instance in this process is called; None while it has no node."""
        return self._bound.get(instance)

    def give(self, config: str, variables: dict[str, str]) -> None:
        """Take what the process is told: its configuration, with secrets, and variables beyond those of the node."""
        self._config, self._variables = config, variables

    async def code_digests(self) -> dict[str, str | None]:
        """Return the digest of the code that was sent."""
        return self._shipment.code_digests

    async def prepare(self) -> None:
        """Get a node, send the code there, and bind a port for each instance; nothing when that is done already.

        Raises:
            ConfigError: The node lacks what the process needs.
            StartError: The node was lost meanwhile.
        """
        if self._actor is not None and not self._is_used:
            return
        import ray

        placement = self._planned.placement
        assert placement is not None
        self.activity = f"waiting for a node with {amounts(placement.demands) or 'room'}"
        await self._cluster.turn_of(self._planned)
        name = f"{self._planned.name}-{secrets.token_hex(3)}"
        actor = self._cluster.actor_for(self._planned, name)
        try:
            await self._settle_on(actor)
        except ray.exceptions.RayError as error:
            raise StartError(f"{self._planned.name} got no node: {first_line(error)}") from error
        except BaseException:
            ray.kill(actor)
            raise
        self._actor, self._is_used, self.activity = actor, False, ""
        self._addresses.found(self._planned, self._bound)

    async def start(self, show: Callable[[str], None]) -> "RemoteProcess":
        """Start the process."""
        self._is_used = True
        servers = self._planned.servers
        scripts = {server.instance.name: script_on_node(server.instance) for server in servers}
        order = StartOrder(scripts, self._planned.is_colocated, self._config, self._variables)
        import ray

        try:
            pid = await self._actor.call.remote("start", order)
        except ray.exceptions.RayError as error:
            raise StartError(f"{self._planned.name} was lost with its node {self.node}: {first_line(error)}") from error
        return RemoteProcess(self._actor, pid, self.node or "", self._log_path, show, self._lost)

    def give_up(self, *, is_last: bool) -> None:
        """Tell callers that it won't come back."""
        self._addresses.lost(self._planned, is_failed=True)

    async def _settle_on(self, actor: Any) -> None:
        host, node_id, lacking = await actor.where_and_what.remote(self._wanted)
        self.node = host
        if lacking:
            what = f"node {host} doesn't have the packages of this machine: {', '.join(lacking)}"
            fix = "install the same there, in the environment that `ray start` is run from"
            raise ConfigError(Mistake(what, where=f"{self._planned.name}: placement", fix=fix))
        self._cluster.settled(self._planned, node_id)
        self.activity = f"sending the code to node {host}"
        await actor.unpack.remote(self._code, self._shipment.digest)
        if self._tls is not None:
            mistake = await actor.call.remote("mistake_in_certificate", self._tls, host)
            if mistake is not None:
                raise ConfigError(replace(mistake, what=f"on node {host} {mistake.what}"))
        await self._build_on(actor, host)
        names = [server.instance.name for server in self._planned.servers]
        ports = await actor.call.remote("bind", names, host, self._disallowed)
        self._bound = {name: (host, port) for name, port in ports.items()}

    async def _build_on(self, actor: Any, host: str) -> None:
        environment = self._planned.environment
        if environment.folder is None:
            return
        self.activity = f"installing on node {host}"
        if environment.version == sys.executable:  # no version was asked for
            environment = replace(environment, version="")
        folder, _, _ = script_on_node(self._planned.servers[0].instance).rpartition("/")
        mistakes: Sequence[Mistake] = await actor.call.remote("build", environment, folder)
        if mistakes:
            raise ConfigError(*(replace(mistake, where=f"{mistake.where} on node {host}") for mistake in mistakes))

    def _lost(self) -> None:
        self._addresses.lost(self._planned)


class RemoteProcess:
    """A process on a node, as the launcher follows it.

    Args:
        actor: Stands beside it on the node.
        pid: Of the process, there.
        node: Address of the node.
        log_path: Gets its lines, each with the node before it.
        show: Gets its lines as they are.
        lost: Called when it has ended.
    """

    def __init__(
        self,
        actor: Any,
        pid: int,
        node: str,
        log_path: Path,
        show: Callable[[str], None],
        lost: Callable[[], None],
    ) -> None:
        self.phase = "importing"
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.pid = pid
        self.returncode: int | None = None
        self.how_it_ended = "runs"
        self._actor, self._node, self._log_path = actor, node, log_path
        self._show, self._lost = show, lost
        self.ended: asyncio.Task[None] = asyncio.create_task(self._follow())

    @property
    def is_running(self) -> bool:
        """Tell whether it has not ended yet, as far as is known."""
        return not self.ended.done()

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and everything it started; it may arrive later, or never."""
        if self.is_running:
            self._actor.call.remote("signal", int(number))

    async def _follow(self) -> None:
        import ray

        seen = 0
        try:
            while True:
                async with asyncio.timeout(LOST_AFTER_S):
                    news: News = await self._actor.call.remote("news", seen)
                seen = news.number
                self._take(news)
                if news.end is not None:
                    self.how_it_ended, self.returncode = news.end
                    return
        except TimeoutError:
            self.how_it_ended = f"was lost: its node {self._node} hasn't answered for {LOST_AFTER_S:g} s"
        except ray.exceptions.RayError as error:
            self.how_it_ended = f"was lost with its node {self._node} ({first_line(error)})"
        finally:
            self._lost()
            with suppress(Exception):  # whatever became of it
                ray.kill(self._actor)

    def _take(self, news: News) -> None:
        if news.lines:
            clean = [KNOWN_SECRETS.text(line) for line in news.lines]
            with suppress(OSError), self._log_path.open("a", encoding="utf-8") as log:  # a full disk stops no server
                log.writelines(f"[{self._node}] {line}\n" for line in clean)
            self.tail.extend(clean)
            for line in clean:
                self._show(line)
        for phase in news.phases:
            self.phase = phase
            if phase == "ready" and not self.ready.done():
                self.ready.set_result(None)
