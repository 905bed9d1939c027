"""The address of every instance of a run at this moment: local ones keep theirs, placed ones may move."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from nemo_gym.config.addresses import http_url
from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.launch.sockets import RunSockets
from nemo_gym.servers.runs.addresses import PlacedWorker, ServerAddresses

Address = tuple[str, int]


class MovingAddresses:
    """Where placed processes are. Its version grows with every change, and who waits for one is woken.

    Args:
        processes: The placed processes of the run.
        is_tls: They speak HTTP over TLS.

    Attributes:
        now: The addresses of this moment.
    """

    def __init__(self, processes: Sequence[PlannedProcess], *, is_tls: bool = False) -> None:
        self.now = ServerAddresses()
        self._is_tls = is_tls
        self._changed = asyncio.Event()
        for process in processes:
            self.lost(process)

    def found(self, process: PlannedProcess, addresses: Mapping[str, Address]) -> None:
        """Note where the instances of a process are called from now on."""
        urls = {name: http_url(*address, is_tls=self._is_tls) for name, address in addresses.items()}
        self._change(process, {name: PlacedWorker(url=url) for name, url in urls.items()})

    def lost(self, process: PlannedProcess, *, is_failed: bool = False) -> None:
        """Note that a process is gone; `is_failed`: for good."""
        gone = PlacedWorker(is_failed=is_failed)
        self._change(process, {server.instance.name: gone for server in process.servers})

    async def after(self, version: int, wait_s: float) -> ServerAddresses:
        """Return the addresses as soon as they are newer than `version`, and at the latest after `wait_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while self.now.version <= version:
                    await self._changed.wait()
        return self.now

    def _change(self, process: PlannedProcess, worker_of: Mapping[str, PlacedWorker]) -> None:
        servers, index = dict(self.now.servers), process.worker or 0
        for name, worker in worker_of.items():
            workers = servers.get(name, [])
            servers[name] = [*workers[:index], worker, *workers[index + 1 :]]
        self.now = ServerAddresses(version=self.now.version + 1, servers=servers)
        self._changed.set()
        self._changed = asyncio.Event()


class Addresses:
    """The address of every instance, and of its workers.

    Args:
        sockets: Of the local processes.
        moving: Of the placed ones.
        is_tls: They all speak HTTP over TLS.
    """

    def __init__(self, sockets: RunSockets, moving: MovingAddresses, *, is_tls: bool = False) -> None:
        self._is_tls = is_tls
        self._sockets = sockets
        self._moving = moving

    def of(self, instance: ServerInstance) -> Address:
        """Return where an instance is called: a placed one at its first worker; port 0 while that is nowhere."""
        if not self.is_placed(instance):
            return instance.host, self._sockets.port_of(instance.name)
        url = next((worker.url for worker in self._placed(instance) if worker.url), self._url(instance, 0))
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or 0

    def workers_of(self, instance: ServerInstance) -> list[str]:
        """Return the URL of each worker of an instance, in order; empty where it has only one."""
        if not self.is_placed(instance):
            return [self._url(instance, port) for port in self._sockets.worker_ports_of(instance.name)]
        urls = [worker.url or self._url(instance, 0) for worker in self._placed(instance)]
        return urls if len(urls) > 1 else []

    def is_placed(self, instance: ServerInstance) -> bool:
        """Tell whether an instance may move."""
        return instance.name in self._moving.now.servers

    def _placed(self, instance: ServerInstance) -> list[PlacedWorker]:
        return self._moving.now.servers[instance.name]

    def _url(self, instance: ServerInstance, port: int) -> str:
        return http_url(instance.host, port, is_tls=self._is_tls)
