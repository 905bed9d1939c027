"""How many connections, and how many of them at once in the making."""

import asyncio
import resource
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

MAX_CONNECTING = 256
_SHARE_OF_DESCRIPTORS = 0.45


def max_connections() -> int:
    """Return how many connections this process may open.

    An agent has one from its caller and one to whom it asks for each rollout, so neither end may take more than half of
    the descriptors: beyond that, requests wait for a connection instead of failing for want of a descriptor.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, int(soft * _SHARE_OF_DESCRIPTORS))


class GatedConnector(aiohttp.TCPConnector):
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
