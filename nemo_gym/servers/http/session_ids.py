"""Session ids: how a request carries one, and which worker of a server the session belongs to.

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
from collections.abc import Mapping, Sequence
from typing import Any

from nemo_gym.config.env_names import COLOCATED_SCRIPTS_ENV, WORKER_INDEX_ENV

SESSION_ID_KEY = "session_id"
SESSION_ID_HEADER = "x-nemo-gym-session-id"
SESSION_KEPT_HEADER = "x-nemo-gym-session-kept"
SESSION_KEPT_KEY = "kept"
"""Set in `request.session` while seeding, and sent with the answer: "1" from a server that keeps the session, so that
the agent closes it later; "0" from one that never keeps any, so that the agent need not open one."""

TAKES_TURNS_HEADER = "x-nemo-gym-takes-turns"
TAKES_TURNS_KEY = "takes_turns"
"""Set and sent likewise: "1" from a server that answers the policy's messages with the user's next, on `/next_turn`."""

_COOKIE_INFIX = "___"


def cookie_name(class_name: str, instance: str) -> str:
    """Return the name of a server's session cookie."""
    return f"{class_name}{_COOKIE_INFIX}{instance}"


def session_id_of(instance: str, headers: Mapping[str, str], cookies: Mapping[str, Any]) -> str | None:
    """Return the session id that a request to `instance` carries, its signature unchecked; None without one."""
    for name, value in cookies.items():
        if name.endswith(_COOKIE_INFIX + instance):
            return str(getattr(value, "value", value)).rpartition(".")[0] or None
    return headers.get(SESSION_ID_HEADER)


WORKER_URLS_KEY = "worker_urls"
"""In an instance's block of the configuration: the own address of each worker, in order."""

IS_PLACED_KEY = "is_placed"
"""Likewise: the instance is on a node of a cluster, where the head says which (`address_book`)."""

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
