"""The connections of this process: how many there may be, how many in the making, and the client that holds them."""

import asyncio
import resource
import socket
import weakref
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

CONNECT_TIMEOUT_S = 10.0
MAX_CONNECTING = 256
_SHARE_OF_DESCRIPTORS = 0.45
_sessions: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession]" = weakref.WeakKeyDictionary()


def raise_descriptor_limit() -> None:
    """Allow as many open sockets as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def max_connections() -> int:
    """Return how many connections this process may open.

    An agent has one from its caller and one to whom it asks for each rollout, so neither end may take more than half of
    the descriptors: beyond that, requests wait for a connection instead of failing for want of a descriptor.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, int(soft * _SHARE_OF_DESCRIPTORS))


class PacedConnector(aiohttp.TCPConnector):
    """Opens at most `MAX_CONNECTING` connections at once.

    Thousands of connection attempts in the same instant overflow the queue of the peer's listening socket
    (`net.core.somaxconn`), and those that the kernel then drops are only tried again seconds later.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._gate = asyncio.Semaphore(MAX_CONNECTING)

    async def _create_connection(self, *args: Any, **kwargs: Any) -> ResponseHandler:
        async with self._gate:
            return await super()._create_connection(*args, **kwargs)


def get_global_aiohttp_client() -> aiohttp.ClientSession:
    """Return this event loop's client: no cookie jar, no read timeout, at most `max_connections`."""
    loop = asyncio.get_running_loop()
    session = _sessions.get(loop)
    if session is None or session.closed:
        connector = PacedConnector(limit=max_connections(), keepalive_timeout=15, socket_factory=_keep_alive_socket)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
        session = _sessions[loop] = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout, auto_decompress=True
        )
    return session


async def close_global_aiohttp_client() -> None:
    """Close this event loop's client, if it has one."""
    session = _sessions.pop(asyncio.get_running_loop(), None)
    if session is not None:
        await session.close()


def _keep_alive_socket(address: Any) -> socket.socket:
    # A model call has no read timeout: keep-alive finds a peer that is gone (90 s: 30 idle + 6 probes of 10).
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
