"""HTTP to one address: one attempt after the other, within the retry policy, the answer read whole."""

import asyncio
import errno
import logging
import socket
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from multidict import CIMultiDict

from nemo_gym.servers.answer import Answer, cookie_header
from nemo_gym.servers.answer_body import encode_json
from nemo_gym.servers.retry import CANNOT_CONNECT, CONNECTION_LOST, LOCAL_RESOURCE, RetryCounter, RetryLimit
from nemo_gym.wire.failure import RolloutError, rollout_error

CONNECT_TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 256 * 1024 * 1024
_LOCAL_ERRNOS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}

_log = logging.getLogger("nemo_gym.client")
_sessions: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession]" = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Deadline:
    """How long one call may take in all; `setting` is what the error names, `kind` its failure kind."""

    seconds: float
    setting: str
    kind: str = "transport_timeout"


def get_global_aiohttp_client() -> aiohttp.ClientSession:
    """Return this event loop's client: no connection limit, no cookie jar, no read timeout, TCP keep-alive."""
    loop = asyncio.get_running_loop()
    session = _sessions.get(loop)
    if session is None or session.closed:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15, socket_factory=_keep_alive_socket)
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


async def request(
    method: str,
    url: str,
    *,
    json: Any = None,
    cookies: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    replay_safe: bool = False,
    deadline: Deadline | None = None,
    server: str = "",
    **kwargs: Any,
) -> Answer:
    """Send one request and return its answer, whatever its status.

    Args:
        json: Body; a pydantic model is written without its unset fields.
        cookies: Sent as they are (the client keeps no jar).
        replay_safe: The receiver recognises a replay, so a lost connection may be retried.
        deadline: Bound for everything, retries included. Without one the caller bounds the call.
        server: Name of the peer, for errors.
        kwargs: aiohttp's own (`data`, `params`, …).

    Raises:
        RolloutError: `transport_unreachable`, `transport_dropped`, `transport_local_resource`, or the deadline's kind.
    """
    sent_headers = CIMultiDict(headers or {})
    if cookies:
        sent_headers["cookie"] = cookie_header(cookies)
    if json is not None:
        kwargs["data"] = encode_json(json)
        sent_headers["content-type"] = "application/json"
    call = _Call(method, url, sent_headers, kwargs, server or url, replay_safe or method.upper() in ("GET", "HEAD"))
    if deadline is None:
        return await call.send()
    timeout = asyncio.timeout(deadline.seconds)
    try:
        async with timeout:
            return await call.send()
    except TimeoutError as error:
        if not timeout.expired():
            raise
        reason = f"{call.server} did not answer {method} {url} within {deadline.seconds:g} s ({deadline.setting})"
        raise rollout_error(deadline.kind, reason, server=call.server, delivery="possibly_delivered") from error


@dataclass(frozen=True)
class _Call:
    method: str
    url: str
    headers: CIMultiDict[str]
    options: dict[str, Any]
    server: str
    replay_safe: bool

    async def send(self) -> Answer:
        counter = RetryCounter()
        while True:
            try:
                return await self._attempt()
            except (aiohttp.ClientError, OSError) as error:
                limit, failure = self._classify(error)
                delay = counter.delay_before_next(limit) if limit is not None else None
                if limit is None or delay is None:
                    raise failure from error
                _log.debug("%s: attempt again in %.1f s: %s", self.url, delay, error)
                await asyncio.sleep(delay)

    async def _attempt(self) -> Answer:
        client = get_global_aiohttp_client()
        async with client.request(self.method, self.url, headers=self.headers, **self.options) as response:
            if (response.content_length or 0) > MAX_ANSWER_BYTES:
                raise rollout_error("transport_dropped", f"{self.server}: answer over {MAX_ANSWER_BYTES} bytes")
            body = await response.read()
            return Answer(
                response.status, CIMultiDict(response.headers), body, self.method, self.url, server=self.server
            )

    def _classify(self, error: Exception) -> tuple[RetryLimit | None, RolloutError]:
        number = getattr(error, "errno", None)
        text = f"{self.server} at {self.url}: {error or type(error).__name__}"
        if number in _LOCAL_ERRNOS:
            reason = f"out of descriptors or ports for {text}; raise `ulimit -n` or lower num_samples_in_parallel"
            return LOCAL_RESOURCE, self._failure("transport_local_resource", reason, "not_sent")
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            bound = f"{CANNOT_CONNECT.attempts} attempts within {CANNOT_CONNECT.within_s:g} s"
            return CANNOT_CONNECT, self._failure(
                "transport_unreachable", f"cannot connect to {text} ({bound})", "not_sent"
            )
        failure = self._failure("transport_dropped", f"connection lost: {text}", "possibly_delivered")
        return (CONNECTION_LOST if self.replay_safe else None), failure

    def _failure(self, kind: str, reason: str, delivery: Any) -> RolloutError:
        return rollout_error(kind, reason, server=self.server, delivery=delivery)
