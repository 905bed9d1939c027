"""The connections of this process: how many there may be, how many may open at once, and the client that holds them."""

import asyncio
import atexit
import resource
import socket
import weakref
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

CONNECT_TIMEOUT_S = 10.0
MAX_CONNECTING = 256
_FEW_DESCRIPTORS = 1024
_SHARE_OF_DESCRIPTORS, _SHARE_OF_FEW_DESCRIPTORS = 0.45, 0.3
_OWN_DESCRIPTORS = 24
_FEWEST_CONNECTIONS = 8
_NO_LIMIT = 1 << 20


def raise_descriptor_limit() -> None:
    """Allow as many open sockets as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptor_limit() -> int:
    """Return how many descriptors (files, sockets) this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _NO_LIMIT if soft == resource.RLIM_INFINITY else soft


def max_connections() -> int:
    """Return how many connections this process may open.

    About as many as it accepts: for each rollout an agent has one from its caller and one to the server it asks, so
    neither end may take more than half of the descriptors. Beyond that, requests wait for a connection instead of
    failing for want of a descriptor. Where descriptors are few, idle connections and the process's own files take up a
    large part of them.
    """
    limit = descriptor_limit()
    share = _SHARE_OF_DESCRIPTORS if limit >= _FEW_DESCRIPTORS else _SHARE_OF_FEW_DESCRIPTORS
    return max(_FEWEST_CONNECTIONS, int((limit - _OWN_DESCRIPTORS) * share))


def max_accepted() -> int:
    """Return how many connections this process may accept: a few more than one of the others opens to it."""
    return max_connections() + max(2, max_connections() // 16)


class PacedConnector(aiohttp.TCPConnector):
    """Opens at most `MAX_CONNECTING` connections at once.

    Thousands of connection attempts in the same instant overflow the queue of the peer's listening socket
    (`net.core.somaxconn`), and those that the kernel then drops are only tried again seconds later.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._gate = asyncio.Semaphore(MAX_CONNECTING)
        self.is_let_go = False

    def __del__(self, *warnings: Any) -> None:
        if not self.is_let_go:
            super().__del__(*warnings)

    async def _create_connection(self, *args: Any, **kwargs: Any) -> ResponseHandler:
        async with self._gate:
            return await super()._create_connection(*args, **kwargs)


class ConnectionTurns:
    """Lets at most `limit` requests have a connection at once; the others wait here, in the order they came.

    They wait before their deadlines begin: a request that nobody has sent yet must not run out of time. A waiter that
    is cancelled costs nothing, however many there are.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._pass_on()  # the turn came at the same moment
            raise

    async def __aexit__(self, *exc_info: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


@dataclass(frozen=True)
class _Pool:
    """What one event loop has: its client, the turns to use it, and what closes it when the loop shuts down."""

    session: aiohttp.ClientSession
    turns: ConnectionTurns
    closer: AsyncGenerator[None, None]


_pools: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool]" = weakref.WeakKeyDictionary()


def get_global_aiohttp_client() -> aiohttp.ClientSession:
    """Return this event loop's client: no cookie jar, no read timeout, at most `max_connections`.

    `asyncio.run` closes it at its end; a program that runs its loop in another way may
    `await close_global_aiohttp_client()`, but doesn't have to.
    """
    return _pool().session


def connection_turn() -> ConnectionTurns:
    """Return what a request enters (`async with`) while it needs one of this event loop's connections."""
    return _pool().turns


async def close_global_aiohttp_client() -> None:
    """Close this event loop's client, if it has one."""
    pool = _pools.pop(asyncio.get_running_loop(), None)
    if pool is not None:
        await pool.closer.aclose()


def _pool() -> _Pool:
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None or pool.session.closed:
        _forget_pools_of_closed_loops()
        limit = max_connections()
        connector = PacedConnector(limit=limit, keepalive_timeout=15, socket_factory=_keep_alive_socket)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
        session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout, auto_decompress=True
        )
        pool = _pools[loop] = _Pool(session, ConnectionTurns(limit), _closer(session))
    return pool


def _closer(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    """Return a started generator that closes the session when it is closed itself.

    Every event loop that is shut down in order (`asyncio.run`) closes the asynchronous generators that were started on
    it. It is the one hook that the end of a loop has.
    """

    async def hold() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await session.close()

    closer = hold()
    with suppress(StopIteration):  # how the first `yield` shows itself, since nothing is awaited before it
        closer.__anext__().send(None)
    return closer


@atexit.register
def _forget_pools() -> None:
    """Let go of the clients whose loops were not shut down in order: the system closes their sockets now."""
    for pool in list(_pools.values()):
        _let_go(pool)


def _forget_pools_of_closed_loops() -> None:
    for loop, pool in list(_pools.items()):
        if loop.is_closed():
            _let_go(pool)
            del _pools[loop]


def _let_go(pool: _Pool) -> None:
    # A closed loop can close nothing any more; without this aiohttp complains of a client that is left open.
    connector = pool.session.connector
    pool.session.detach()
    # Nothing to wait for any more. Left to the interpreter, its end would ask a loop that doesn't run (Python 3.13).
    with suppress(StopIteration):
        pool.closer.aclose().send(None)
    if isinstance(connector, PacedConnector):
        connector.is_let_go = True


def _keep_alive_socket(address: Any) -> socket.socket:
    # A model call has no read timeout: keep-alive finds a peer that is gone (90 s: 30 idle + 6 probes of 10).
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
