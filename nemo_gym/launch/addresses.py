"""The address of every instance of a run at this moment: local ones keep theirs, placed ones may move."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from nemo_gym.config.addresses import http_url
from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.launch.sockets import RunSockets
from nemo_gym.servers.runs.addresses import PlacedWorker, ServerAddresses

Address = tuple[str, int]


class MovingAddresses:
    """Where placed processes are. Its version grows with every change, and who waits for one is woken.

    Args:
        processes: All processes of the run.
    """

    def __init__(self, processes: Sequence[PlannedProcess]) -> None:
        self.now = ServerAddresses()
        self._of: dict[str, dict[int, Address | None]] = {}
        self._changed = asyncio.Event()
        for process in processes:
            if process.placement is not None:
                self._change(process, None, PlacedWorker())

    def found(self, process: PlannedProcess, addresses: Mapping[str, Address]) -> None:
        """Note where the instances of a process are called from now on."""
        self._change(process, addresses, PlacedWorker())

    def lost(self, process: PlannedProcess, *, is_failed: bool = False) -> None:
        """Note that a process is gone; `is_failed`: for good."""
        self._change(process, None, PlacedWorker(is_failed=is_failed))

    def worker_addresses(self, instance: str) -> list[Address | None] | None:
        """Return the address of each worker of a placed instance, in order; None for one that isn't placed."""
        workers = self._of.get(instance)
        return None if workers is None else [workers[index] for index in sorted(workers)]

    async def after(self, version: int, wait_s: float) -> ServerAddresses:
        """Return the addresses as soon as they are newer than `version`, and at the latest after `wait_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while self.now.version <= version:
                    await self._changed.wait()
        return self.now

    def _change(self, process: PlannedProcess, found: Mapping[str, Address] | None, worker: PlacedWorker) -> None:
        servers = dict(self.now.servers)
        for name in (server.instance.name for server in process.servers):
            address = None if found is None else found[name]
            url = None if address is None else http_url(*address)
            self._of.setdefault(name, {})[process.worker or 0] = address
            workers = [*servers.get(name, [])]
            workers += [PlacedWorker()] * ((process.worker or 0) + 1 - len(workers))
            workers[process.worker or 0] = worker.model_copy(update={"url": url})
            servers[name] = workers
        self.now = ServerAddresses(version=self.now.version + 1, servers=servers)
        self._changed.set()
        self._changed = asyncio.Event()


class Addresses:
    """The address of every instance, and of its workers.

    Args:
        sockets: Of the local processes.
        moving: Of the placed ones.
    """

    def __init__(self, sockets: RunSockets, moving: MovingAddresses) -> None:
        self._sockets = sockets
        self._moving = moving

    def of(self, instance: ServerInstance) -> Address:
        """Return where an instance is called: a placed one at its first worker; port 0 while that is nowhere."""
        workers = self._moving.worker_addresses(instance.name)
        if workers is None:
            return instance.host, self._sockets.port_of(instance.name)
        return next(filter(None, workers), (instance.host, 0))

    def workers_of(self, instance: ServerInstance) -> list[str]:
        """Return the URL of each worker of an instance, in order; empty where it has only one."""
        workers = self._moving.worker_addresses(instance.name)
        if workers is None:
            ports = self._sockets.worker_ports_of(instance.name)
            return [http_url(instance.host, port) for port in ports]
        return [http_url(*(worker or (instance.host, 0))) for worker in workers] if len(workers) > 1 else []

    def is_placed(self, instance: ServerInstance) -> bool:
        """Tell whether an instance may move."""
        return self._moving.worker_addresses(instance.name) is not None
