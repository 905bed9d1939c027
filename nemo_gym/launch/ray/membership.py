"""The part of a run that is on a Ray cluster: joining it, places on its nodes, leaving it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from nemo_gym.config.addresses import is_loopback
from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME, RAY_HEAD_NODE_ADDRESS_KEY_NAME
from nemo_gym.config.load import RunConfig
from nemo_gym.launch.addresses import MovingAddresses
from nemo_gym.launch.environments.building import own_dependencies
from nemo_gym.launch.environments.requirements import installed_as, requirements_of
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.launch.ray.cluster import Cluster
from nemo_gym.launch.ray.node_place import NodePlace
from nemo_gym.launch.ray.shipment import pack
from nemo_gym.launch.run_directory import RunDirectory
from nemo_gym.ray_connection import connect, is_connected, require_installed, run_namespace
from nemo_gym.servers.runs.tls import TlsFiles


class ClusterMembership:
    """Joins a cluster for a run, unless nothing in it needs one.

    Args:
        config: Of the run.
        tls: With what servers on nodes prove who they are.

    Attributes:
        addresses: Where the placed processes are.
        places: A place for each of them, by its name, after `find_places`.
        head_hosts: Further addresses at which the head has to listen, so that nodes reach it.
    """

    def __init__(self, config: RunConfig, tls: TlsFiles | None = None) -> None:
        self._tls = tls
        self.addresses = MovingAddresses([])
        self.places: dict[str, NodePlace] = {}
        self.head_hosts: list[str] = []
        self._config = config
        self._is_shared = False
        self._joining: asyncio.Task[Cluster] | None = None

    def begin(self, processes: Sequence[PlannedProcess], run_id: str) -> None:
        """Begin to join, if the run names a cluster, this program is on one, or a server uses Ray or is placed.

        Raises:
            ConfigError: Ray isn't installed; or servers on nodes would be open to everyone there.
        """
        named = self._config.global_config_dict.get(RAY_HEAD_NODE_ADDRESS_KEY_NAME)
        uses_ray = any(instance.ray_enabled for instance in self._config.instances)
        self._is_shared = is_connected() or any(process.placement for process in processes)
        self._check_locked()
        if named or uses_ray or self._is_shared:
            require_installed()
            self._joining = asyncio.create_task(_join(named, run_id))

    async def find_places(self, processes: Sequence[PlannedProcess], directory: RunDirectory) -> list[PlannedProcess]:
        """Make the places of processes that are put on nodes; return all processes as they fit the cluster.

        With such processes, and in a program that is on a cluster, those of this machine listen where nodes reach them.

        Raises:
            ConfigError: There is no cluster, or it can't have them, or their code can't be sent.
        """
        if self._joining is None or not self._is_shared:
            return list(processes)
        cluster = await asyncio.shield(self._joining)
        own_host = cluster.connection.own_host
        if is_loopback(self._config.head_bind_host) and not is_loopback(own_host):
            self.head_hosts = [own_host]
        fitted = [_reachable(process, own_host) for process in cluster.spread_over_nodes(processes)]
        placed = [process for process in fitted if process.placement is not None]
        if not placed:
            return fitted
        self.addresses = MovingAddresses(placed, is_tls=self._tls is not None)
        shipment = await asyncio.to_thread(pack, placed)
        code = await asyncio.to_thread(cluster.stored, shipment.content)
        own = own_dependencies()
        disallowed = list(self._config.global_config_dict.get("disallowed_ports", []))
        for process in placed:
            _check_installable(process)
            self.places[process.name] = NodePlace(
                process,
                cluster,
                (code, shipment),
                own if process.environment.folder else [*own, *_installed(process)],
                self.addresses,
                disallowed,
                directory.log_path(process.name),
                self._tls,
            )
        return fitted

    async def joined(self) -> None:
        """Return when the cluster is joined, at once where none is needed; ConfigError: there is none."""
        if self._joining is not None:
            await asyncio.shield(self._joining)

    def variables_for(self, process: PlannedProcess) -> Callable[[], Awaitable[dict[str, str]]] | None:
        """Return what waits for the variables that lead a process to the cluster; None for one that doesn't use Ray."""
        uses_ray = any(server.instance.ray_enabled for server in process.servers)
        return partial(_variables, self._joining) if uses_ray and self._joining is not None else None

    def leave(self) -> None:
        """End the connection, and with it every actor of the run; may be called again."""
        joining, self._joining = self._joining, None
        if joining is not None and joining.done() and not joining.cancelled() and joining.exception() is None:
            joining.result().connection.leave()

    def _check_locked(self) -> None:
        allowed = self._config.global_config_dict.get(ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME)
        if self._is_shared and not self._config.wants_token and not allowed:
            what = "auth=none, but servers of this run listen on the network of a cluster, where others can reach them"
            fix = f"remove auth=none; or, if anyone there may call them, +{ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME}=true"
            raise ConfigError(Mistake(what, where="auth, placement", fix=fix))


async def _join(address: str | None, run_id: str) -> Cluster:
    cluster = Cluster(await asyncio.to_thread(connect, address, run_namespace(run_id)))
    await cluster.end_orphans()
    return cluster


async def _variables(joining: "asyncio.Task[Cluster]") -> dict[str, str]:
    return (await asyncio.shield(joining)).connection.variables


def _reachable(process: PlannedProcess, own_host: str) -> PlannedProcess:
    servers = tuple(replace(server, instance=_called_at(server.instance, own_host)) for server in process.servers)
    return replace(process, servers=servers)


def _called_at(instance: ServerInstance, own_host: str) -> ServerInstance:
    """Return an instance that listens where the nodes reach it: on this machine's address in the cluster."""
    return replace(
        instance,
        host=own_host if is_loopback(instance.host) else instance.host,
        bind_host=own_host if is_loopback(instance.bind_host) else instance.bind_host,
    )


def _installed(process: PlannedProcess) -> list[str]:
    """Return what the components of a process ask for and have here, as `name==version`: a node must have the same."""
    lines = [line for server in process.servers for line in requirements_of(server.instance.directory)]
    return sorted({exact for line in lines if (exact := installed_as(line))})


def _check_installable(process: PlannedProcess) -> None:
    """Refuse requirements of an environment of its own that a node can't install."""
    local = [line for line in process.environment.requirements if line.startswith((".", "/", "-e", "--ed", "file:"))]
    if local:
        what = f"a node can't install what is on this machine alone: {', '.join(local)}"
        fix = "name a package of an index, or a wheel that every node can load"
        raise ConfigError(Mistake(what, where=str(process.environment.directory), fix=fix))
