"""Accepting connections, as many as there are descriptors for: the others wait in the kernel's queue.

An event loop's own server accepts whatever comes. Out of descriptors, it hangs up on callers, and none are left for the
connections that answering the accepted ones needs. So connections are accepted one by one here, and while there are
too many, those that are open close with their next response.
"""

import asyncio
import contextlib
import logging
import socket
import weakref
from collections.abc import Callable

import uvicorn

from nemo_gym.servers.http.connections import descriptor_limit, max_accepted
from nemo_gym.servers.runs.renewal import RenewableContext
from nemo_gym.servers.serving.connections.limits import BoundedConfig, BoundedProtocol

_LOOK_AGAIN_S = 0.1
_OUT_OF_RESOURCES_S = 0.2
_SHAKES_HANDS_WITHIN_S = 10
# The loop's own bound for closing, 30 s, counts from when the last answer is written, and would cut that off for a
# slow reader. Callers that never close their end are hung up on by `BoundedProtocol`.
_NO_BOUND_S = 10 * 365 * 86_400
_log = logging.getLogger("nemo_gym.server")
_acceptors: "weakref.WeakSet[Acceptor]" = weakref.WeakSet()


class Acceptor:
    """Accepts the connections of one server. All servers of a process together take up to `max_accepted`.

    Args:
        make_protocol: Gives the protocol of a new connection.
        tls: With what the server proves who it is; None: it speaks plain HTTP.
    """

    def __init__(
        self,
        server: uvicorn.Server,
        config: BoundedConfig,
        make_protocol: Callable[[], asyncio.Protocol],
        tls: RenewableContext | None = None,
    ) -> None:
        self._server = server
        self._config = config
        self._make_protocol = make_protocol
        self._tls = tls
        self._shaking_hands: set[asyncio.Task[None]] = set()
        self._has_said_full = False
        _acceptors.add(self)

    async def accept_from(self, listener: socket.socket) -> None:
        """Accept until cancelled; then nobody is shaking hands any more either."""
        listener.setblocking(False)
        try:
            await self._accept_on_and_on(listener)
        finally:
            for shaking in self._shaking_hands:
                shaking.cancel()

    async def _accept_on_and_on(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self._is_full():
                self._config.has_room.clear()
                with contextlib.suppress(TimeoutError):  # another server of this process may have made room
                    async with asyncio.timeout(_LOOK_AGAIN_S):
                        await self._config.has_room.wait()
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                if listener.fileno() < 0:
                    return
                _log.warning("can't accept a connection: %s", error.strerror)
                await asyncio.sleep(_OUT_OF_RESOURCES_S)
                continue
            with contextlib.suppress(OSError):  # the caller has gone meanwhile
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is None:
                    await loop.connect_accepted_socket(self._make_protocol, connection)
                else:  # beside the others: it takes as long as the caller likes
                    shaking = loop.create_task(self._shake_hands(connection, self._tls))
                    self._shaking_hands.add(shaking)
                    shaking.add_done_callback(self._shaking_hands.discard)

    async def _shake_hands(self, connection: socket.socket, tls: RenewableContext) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, TimeoutError):  # it isn't a caller of ours, and is gone by now
            await loop.connect_accepted_socket(
                self._make_protocol,
                connection,
                ssl=tls.now(),
                ssl_handshake_timeout=_SHAKES_HANDS_WITHIN_S,
                ssl_shutdown_timeout=_NO_BOUND_S,
            )

    @property
    def num_open(self) -> int:
        """How many connections are open, those that are still shaking hands included."""
        return len(self._server.server_state.connections) + len(self._shaking_hands)

    def _is_full(self) -> bool:
        limit = max_accepted()
        is_full = sum(acceptor.num_open for acceptor in _acceptors) >= limit
        if is_full and not self._config.closes_connections:
            for connection in list(self._server.server_state.connections):
                if isinstance(connection, BoundedProtocol):
                    connection.make_room()
        self._config.closes_connections = is_full
        if is_full and not self._has_said_full:
            self._has_said_full = True
            _log.warning(
                "%d connections are open, as many as %d descriptors allow: others wait. `ulimit -n` sets the limit",
                limit,
                descriptor_limit(),
            )
        return is_full
