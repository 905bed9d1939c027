"""Workers: several processes that share one instance, and which of them a session belongs to.

A session's owner is read off its id alone, so that client and workers agree without asking: an id made in a worker
names it, any other is hashed. The client goes to the owner directly; a worker that is asked for another's session
passes the request on.
"""

import os
import re
import secrets
import zlib

WORKER_INDEX_ENV = "NEMO_GYM_WORKER_INDEX"
WORKER_URLS_KEY = "worker_urls"
"""In an instance's block of the configuration: the own address of each worker, in order."""

_NAMES_WORKER = re.compile(r"w(\d{1,4})-")


def own_worker_index() -> int | None:
    """Return which worker this process is; None when it is the only one."""
    value = os.environ.get(WORKER_INDEX_ENV)
    return None if value is None else int(value)


def new_session_id() -> str:
    """Return an id nobody can guess (128 random bits), owned by this process where it is a worker."""
    index = own_worker_index()
    token = secrets.token_urlsafe(16)
    return token if index is None else f"w{index}-{token}"


def owner_of(session_id: str, num_workers: int) -> int:
    """Return the index of the worker that holds a session, 0 <= index < `num_workers`."""
    named = _NAMES_WORKER.match(session_id)
    number = int(named.group(1)) if named else zlib.crc32(session_id.encode())
    return number % num_workers
