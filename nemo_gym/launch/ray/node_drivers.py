"""Drivers of a collection on the nodes of a cluster: each is an actor that connects back to the collector."""

import asyncio
import secrets
import socket
import ssl
from collections.abc import Sequence
from contextlib import closing, suppress
from hmac import compare_digest
from typing import Any

from nemo_gym.config.addresses import is_loopback
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.launch.environments.building import own_dependencies
from nemo_gym.launch.ray.cluster import Cluster
from nemo_gym.launch.ray.shipment import Shipment, pack
from nemo_gym.ray_connection import connect
from nemo_gym.servers.runs.tls import TlsFiles, client_context
from nemo_gym.servers.serving.connections.listeners import bind

_CONNECTS_WITHIN_S = 120.0  # it may have to wait for a node with room
_SHOWS_SECRET_WITHIN_S = 10.0
_SECRET_BYTES = 32


class NodeDriver:
    """A driver on a node.

    Attributes:
        connection: The collector's end of a socket to it.
        name: Where it is.
        tls: How to check that it is on node `peer`; None: everything of its run is in the clear.
        proof: With what the collector proves who it is.
    """

    def __init__(
        self, connection: socket.socket, node: str, tls: ssl.SSLContext | None, proof: bytes, actor: Any
    ) -> None:
        self.connection = connection
        self.proof: bytes | None = proof
        self.tls = tls
        self.peer = None if tls is None else node
        self.name = f"on node {node}"
        self._actor = actor

    async def end(self) -> str:
        """Make sure that it is gone; return how it ended, in words."""
        _kill(self._actor)
        return "was lost"


class NodeDrivers:
    """Starts drivers on the nodes of a cluster, spread over them; each reserves a CPU.

    Args:
        address: Of the cluster, or "auto".
        server_host: Where drivers will call the head.
        tls: With what they prove who they are; the files are on their nodes.
        served: `module:Class` of the actor, whose `drive(host, port, secret, tls, proof)` connects and drives.
    """

    def __init__(self, address: str, server_host: str, tls: TlsFiles | None, served: str) -> None:
        self._tls = tls
        self._address = address
        self._server_host = server_host
        self._served = served
        self._cluster: Cluster | None = None
        self._joining = asyncio.Lock()
        self._code: tuple[Shipment, Any]

    async def start(self) -> NodeDriver:
        """Start one.

        Raises:
            ConfigError: There is no such cluster; a node lacks packages, or can't reach the servers.
            OSError: It doesn't connect.
        """
        async with self._joining:
            if self._cluster is None:
                self._cluster = await asyncio.to_thread(self._joined)
        import ray

        actor = self._cluster.driver_actor()
        try:
            async with asyncio.timeout(_CONNECTS_WITHIN_S):
                return await self._driver(actor, self._cluster.connection.own_host)
        except TimeoutError as error:
            _kill(actor)
            raise OSError(f"no node had a CPU for it within {_CONNECTS_WITHIN_S:g} s, or let it connect") from error
        except ray.exceptions.RayError as error:
            raise OSError(f"its node was lost: {str(error).splitlines()[0]}") from error
        except BaseException:
            _kill(actor)
            raise

    def leave(self) -> None:
        """End the connection to the cluster, and with it every driver."""
        if self._cluster is not None:
            self._cluster.connection.leave()

    def _joined(self) -> Cluster:
        cluster = Cluster(connect(self._address, namespace=None))
        if is_loopback(self._server_host) and len(cluster.nodes()) > 1:
            what = "the head of this run listens on its own machine alone, so drivers on other nodes can't reach it"
            fix = "give servers of the run a `placement`, or an address that nodes reach: +default_host=<address>"
            raise ConfigError(Mistake(what, where="num_drivers", fix=fix))
        shipment = pack([])
        self._code = shipment, cluster.stored(shipment.content)
        return cluster

    async def _driver(self, actor: Any, own_host: str) -> NodeDriver:
        node, _, lacking = await actor.where_and_what.remote(own_dependencies())
        _refuse(node, lacking)
        shipment, stored = self._code
        await actor.unpack.remote(stored, shipment.digest, self._served)
        secret, proof = secrets.token_bytes(_SECRET_BYTES), secrets.token_bytes(_SECRET_BYTES)
        with closing(bind(own_host, 0)) as listener:
            listener.setblocking(False)
            actor.call.remote("drive", *listener.getsockname()[:2], secret, self._tls, proof)
            connection = await _connection_that_shows(secret, listener)
            tls = None if self._tls is None else client_context(self._tls.ca)
            return NodeDriver(connection, node, tls, proof, actor)


async def _connection_that_shows(secret: bytes, listener: socket.socket) -> socket.socket:
    """Return the first connection that begins with a secret: any other isn't the actor's."""
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(listener)
        connection.setblocking(False)
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(_SHOWS_SECRET_WITHIN_S):
                if compare_digest(await _first_bytes(connection, len(secret)), secret):
                    return connection
        connection.close()


async def _first_bytes(connection: socket.socket, count: int) -> bytes:
    """Return the first bytes that come in; fewer from one that hangs up."""
    read, loop = b"", asyncio.get_running_loop()
    while len(read) < count and (more := await loop.sock_recv(connection, count - len(read))):
        read += more
    return read


def _refuse(node: str, lacking: Sequence[str]) -> None:
    if lacking:
        what = f"node {node} doesn't have the packages of this machine: {', '.join(lacking)}"
        raise ConfigError(Mistake(what, where="num_drivers", fix="install the same there"))


def _kill(actor: Any) -> None:
    import ray

    with suppress(Exception):  # whatever became of it
        ray.kill(actor)
