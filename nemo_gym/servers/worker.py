"""Workers: several processes that share one instance, and which of them a session belongs to.

A session's owner is read off its id alone, so that client and workers agree without asking: an id made in a worker
names it, any other is hashed. The client goes to the owner directly; a worker that is asked for another's session
passes the request on.
"""

import contextlib
import os
import re
import secrets
import zlib
from collections import deque
from collections.abc import Sequence

WORKER_INDEX_ENV = "NEMO_GYM_WORKER_INDEX"
COLOCATED_SCRIPTS_ENV = "NEMO_GYM_COLOCATED_SCRIPTS"
"""JSON in the environment of a process that holds several servers: the script of each by instance name."""

WORKER_URLS_KEY = "worker_urls"
"""In an instance's block of the configuration: the own address of each worker, in order."""

_NAMES_WORKER = re.compile(r"w(\d{1,4})-")


def own_worker_index() -> int | None:
    """Return which worker this process is; None when it is the only one."""
    value = os.environ.get(WORKER_INDEX_ENV)
    return None if value is None else int(value)


def new_session_id(*, is_own: bool = False) -> str:
    """Return an id nobody can guess (128 random bits).

    Args:
        is_own: The session is one of a server in this process, which therefore has to own it. For another server's
            session an id names this worker only where every worker holds every server, so that a rollout never leaves
            it; elsewhere the workers of that server have nothing to do with ours, and the id is spread over all.
    """
    index = own_worker_index()
    token = secrets.token_urlsafe(16)
    names_worker = index is not None and (is_own or COLOCATED_SCRIPTS_ENV in os.environ)
    return f"w{index}-{token}" if names_worker else token


def owner_of(session_id: str, num_workers: int) -> int:
    """Return the index of the worker that holds a session, 0 <= index < `num_workers`."""
    named = _NAMES_WORKER.match(session_id)
    number = int(named.group(1)) if named else zlib.crc32(session_id.encode())
    return number % num_workers


class WorkerUrls:
    """The own addresses of an instance's workers, as a caller uses them: by session, else in turn.

    Not the address they share: kept connections would lead most calls to the worker that took the first ones.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = list(urls)
        self._in_turn = deque(urls)

    def owner_url(self, session_id: str) -> str:
        """Return the address of the worker that holds a session."""
        return self._urls[owner_of(session_id, len(self._urls))]

    def next_url(self) -> str | None:
        """Return the address of the worker whose turn it is; None when all are left out."""
        if not self._in_turn:
            return None
        self._in_turn.rotate(-1)
        return self._in_turn[-1]

    def leave_out(self, url: str) -> None:
        """Give a worker no more turns; nothing when it gets none."""
        with contextlib.suppress(ValueError):
            self._in_turn.remove(url)
