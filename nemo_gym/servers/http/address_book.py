"""Where the placed servers of a run are: as the head says it, followed for as long as anybody here calls one.

A server on a cluster may move to another node, and who calls it learns the new address without a restart.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import orjson

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.servers.http.session_ids import owner_of
from nemo_gym.servers.http.transport import Deadline, request
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.addresses import ADDRESSES_PATH, LONGEST_WAIT_S, PlacedWorker, ServerAddresses
from nemo_gym.servers.runs.token import bearer
from nemo_gym.wire.failure import RolloutError, rollout_error

COMES_BACK_WITHIN_S = 120.0
"""How long a call waits for a server that is started again somewhere."""

_PAUSE_S = 1.0  # before the head is asked again after it didn't answer
_log = logging.getLogger("nemo_gym.client")


class AddressBook:
    """The placed servers of a run.

    Args:
        head: Where the head listens.
        access: To the run.
    """

    def __init__(self, head: BaseServerConfig, access: RunAccess) -> None:
        self._url = access.url(head.host, head.port) + ADDRESSES_PATH
        self._access = access
        self._known = ServerAddresses(version=-1)
        self._head_failure = ""
        self._turns: dict[str, int] = {}
        self._calls: dict[str, set[asyncio.Timeout]] = {}
        self._following: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()

    async def url_for(self, server: str, session_id: str | None, besides: str | None = None) -> str:
        """Return where to send a call, as soon as there is somebody.

        Args:
            server: Name of the instance.
            session_id: Its worker is the one; None: each has its turn.
            besides: An address that did not take the call: another, or a newer one of the same worker, is waited for.

        Raises:
            RolloutError: `transport_unreachable`: it won't come back, or didn't within `COMES_BACK_WITHIN_S`.
        """
        self._follow()
        timeout = asyncio.timeout(COMES_BACK_WITHIN_S)
        try:
            async with timeout:
                while True:
                    url = self._choose(server, session_id, besides)
                    if url is not None:
                        return url
                    await self._changed.wait()
        except TimeoutError as error:
            reason = f"{server} has no address: it was not started again within {COMES_BACK_WITHIN_S:g} s"
            reason += f" ({self._head_failure})" if self._head_failure else ""
            raise _unreachable(server, reason) from error

    @asynccontextmanager
    async def while_there(self, server: str, url: str) -> AsyncIterator[None]:
        """Fail what runs in the `async with` block with `server_died` as soon as nobody is at `url` any more."""
        gone = asyncio.timeout(None)
        calls = self._calls.setdefault(url, set())
        calls.add(gone)
        try:
            async with gone:
                yield
        except TimeoutError as error:
            if not gone.expired():
                raise
            reason = f"{server} at {url} was lost with its process or node"
            raise rollout_error("server_died", reason, server=server, delivery="possibly_delivered") from error
        finally:
            calls.discard(gone)
            if not calls:
                self._calls.pop(url, None)

    def worker_urls(self, server: str) -> "WorkerUrlsOfPlaced":
        """Return the addresses of the workers of an instance, which stay those of the moment."""
        return WorkerUrlsOfPlaced(self, server)

    def workers(self, server: str) -> list[PlacedWorker]:
        """Return the workers of an instance as they are known now; empty before the head has answered."""
        self._follow()
        return self._known.servers.get(server, [])

    def _choose(self, server: str, session_id: str | None, besides: str | None) -> str | None:
        workers = self._known.servers.get(server, [])
        if session_id is not None and workers:
            workers = [workers[owner_of(session_id, len(workers))]]
        if workers and all(worker.is_failed for worker in workers):
            raise _unreachable(server, f"{server} died too often and is not started any more")
        up = [worker.url for worker in workers if worker.url is not None and worker.url != besides]
        if not up:
            return None
        self._turns[server] = turn = self._turns.get(server, -1) + 1
        return up[turn % len(up)]

    def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._changed, self._following = loop, asyncio.Event(), None
        if self._following is None or self._following.done():
            self._following = loop.create_task(self._ask_on_and_on())

    async def _ask_on_and_on(self) -> None:
        while True:
            try:
                self._take(await self._ask())
                self._head_failure = ""
            except (RolloutError, ValueError) as error:
                self._head_failure = f"the head doesn't say where servers are: {error}"
                _log.debug(self._head_failure)
                await asyncio.sleep(_PAUSE_S)

    async def _ask(self) -> ServerAddresses:
        bound = Deadline(2 * LONGEST_WAIT_S, "the bound of a question to the head")
        url = f"{self._url}?version={self._known.version}"
        answer = await request(
            "GET",
            url,
            headers=bearer(self._access.token),
            server="the head",
            deadline=bound,
            allow_redirects=False,
            ssl=self._access.ssl,
        )
        if not answer.ok:
            raise ValueError(f"status {answer.status}")
        return ServerAddresses.model_validate(orjson.loads(await answer.read()))

    def _take(self, new: ServerAddresses) -> None:
        if new.version == self._known.version:
            return
        self._known = new
        there = {worker.url for workers in new.servers.values() for worker in workers}
        now = asyncio.get_running_loop().time()
        for url, calls in self._calls.items():
            if url not in there:
                for call in calls:
                    call.reschedule(now)
        self._changed.set()
        self._changed = asyncio.Event()


class WorkerUrlsOfPlaced(Sequence[str]):
    """The address of each worker of a placed instance at this moment; "" for one that has none."""

    def __init__(self, book: AddressBook, server: str) -> None:
        self._book, self._server = book, server

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        return self._book.workers(self._server)[index].url or ""

    def __len__(self) -> int:
        return len(self._book.workers(self._server))

    def __iter__(self) -> Iterator[str]:
        return (worker.url or "" for worker in self._book.workers(self._server))


def _unreachable(server: str, reason: str) -> RolloutError:
    return rollout_error("transport_unreachable", reason, server=server, delivery="not_sent")
