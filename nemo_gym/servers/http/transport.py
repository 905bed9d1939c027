"""HTTP to one address: one attempt after the other, within the retry policy, the answer read whole."""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import aiohttp
from multidict import CIMultiDict

from nemo_gym.config.secrets import mask_text
from nemo_gym.servers.http.connections import connection_turn, get_global_aiohttp_client
from nemo_gym.servers.http.json_body import encode_json
from nemo_gym.servers.http.response import HttpResponse, cookie_header
from nemo_gym.servers.http.retry import TRANSPORT_LIMITS, RetryCounter, RetryLimit, TransportLimits
from nemo_gym.wire.failure import Delivery, FailureKind, RolloutError, rollout_error

RequestOptions: TypeAlias = dict[str, Any]
"""Keyword arguments of `request`."""

_LOCAL_ERRNOS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}

_log = logging.getLogger("nemo_gym.client")


@dataclass(frozen=True)
class Deadline:
    """How long one call may take in all; `setting` is what the error names, `kind` its failure kind."""

    seconds: float
    setting: str
    kind: FailureKind = "transport_timeout"


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
    limits: TransportLimits = TRANSPORT_LIMITS,
    auth: aiohttp.BasicAuth | None = None,
    **kwargs: Any,
) -> HttpResponse:
    """Send one request and return its answer, whatever its status.

    Args:
        json: Body; a pydantic model is written without its unset fields.
        cookies: Sent as they are (the client keeps no jar).
        replay_safe: The receiver recognizes a replay, so a lost connection may be retried.
        deadline: Bound for everything, retries included, from when there is a connection for it. Without one the
            caller bounds the call.
        server: Name of the peer, for errors.
        limits: How often and how long each class of error is retried, and the largest answer.
        auth: Sent as the `Authorization` header.
        kwargs: aiohttp's own (`data`, `params`, …).

    Raises:
        RolloutError: `transport_unreachable`, `transport_dropped`, `transport_local_resource`, `transport_timeout`
            (aiohttp's own `timeout`), or the deadline's kind.
        ValueError: Both `auth` and an `Authorization` header.
    """
    sent_headers = headers_of_call(headers, cookies, auth)
    if json is not None:
        kwargs["data"] = encode_json(json)
        sent_headers["content-type"] = "application/json"
    replay_safe = replay_safe or method.upper() in ("GET", "HEAD")
    call = _Call(method, url, sent_headers, kwargs, server or mask_text(url), replay_safe, limits)
    async with connection_turn():
        return await bounded(call.send(), deadline, call.server, method, url)


def headers_of_call(
    headers: Any, cookies: Mapping[str, Any] | None, auth: aiohttp.BasicAuth | None
) -> CIMultiDict[str]:
    """Return the headers that a call begins with; raises ValueError for both `auth` and an `Authorization` header."""
    sent: CIMultiDict[str] = CIMultiDict(headers or {})
    if cookies:
        sent["cookie"] = cookie_header(cookies)
    if auth is not None:  # aiohttp is given the header: its own `auth` is deprecated
        if "authorization" in sent:
            raise ValueError("a call has an Authorization header or `auth`, not both")
        sent["authorization"] = auth.encode()
    return sent


async def bounded(
    sending: Awaitable[HttpResponse], deadline: Deadline | None, server: str, method: str, url: str
) -> HttpResponse:
    """Await an answer within a deadline; raises RolloutError of the deadline's kind, which names its setting."""
    if deadline is None:
        return await sending
    timeout = asyncio.timeout(deadline.seconds)
    try:
        async with timeout:
            return await sending
    except TimeoutError as error:
        if not timeout.expired():
            raise
        raise too_late(deadline, server, method, url) from error


def too_late(deadline: Deadline, server: str, method: str, url: str) -> RolloutError:
    """Return the failure of a call that took longer than its deadline."""
    reason = f"{server} did not answer {method} {mask_text(url)} within {deadline.seconds:g} s ({deadline.setting})"
    return rollout_error(deadline.kind, reason, server=server, delivery="possibly_delivered")


@dataclass(frozen=True)
class _Call:
    method: str
    url: str
    headers: CIMultiDict[str]
    options: RequestOptions
    server: str
    replay_safe: bool
    limits: TransportLimits

    async def send(self) -> HttpResponse:
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

    async def _attempt(self) -> HttpResponse:
        client = get_global_aiohttp_client()
        async with client.request(self.method, self.url, headers=self.headers, **self.options) as response:
            body = await self._read(response)
            return HttpResponse(
                response.status, CIMultiDict(response.headers), body, self.method, self.url, server=self.server
            )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        size_bytes, announced = 0, response.content_length or 0
        # Counted as it arrives: a chunked or compressed answer doesn't say how long it is.
        while max(size_bytes, announced) <= self.limits.max_answer_bytes:
            part = await response.content.readany()
            if not part:
                return parts[0] if len(parts) == 1 else b"".join(parts)
            parts.append(part)
            size_bytes += len(part)
        reason = f"the answer of {self.server} is longer than {self.limits.max_answer_bytes} bytes"
        raise self._failure("transport_dropped", reason, "delivered")

    def _classify(self, error: Exception) -> tuple[RetryLimit | None, RolloutError]:
        limits = self.limits
        text = f"{self.server} at {mask_text(f'{self.url}: {error or type(error).__name__}')}"
        if getattr(error, "errno", None) in _LOCAL_ERRNOS:
            bound = f"for {limits.local_resource.within_s:g} s"
            reason = f"out of descriptors or ports {bound}: {text}; raise `ulimit -n` or work on less at a time"
            return limits.local_resource, self._failure("transport_local_resource", reason, "not_sent")
        if isinstance(error, aiohttp.InvalidURL):
            return None, self._failure("transport_unreachable", f"not a URL: {text}", "not_sent")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            reason = f"not trusted, by its certificate: {text}"
            return None, self._failure("transport_unreachable", reason, "not_sent")
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            limit = limits.cannot_connect
            reason = f"cannot connect to {text} ({limit.bound})"
            return limit, self._failure("transport_unreachable", reason, "not_sent")
        if isinstance(error, TimeoutError):
            reason = f"no answer within the caller's `timeout`: {text}"
            return None, self._failure("transport_timeout", reason, "possibly_delivered")
        failure = self._failure("transport_dropped", f"connection lost: {text}", "possibly_delivered")
        return (limits.connection_lost if self.replay_safe else None), failure

    def _failure(self, kind: FailureKind, reason: str, delivery: Delivery) -> RolloutError:
        return rollout_error(kind, reason, server=self.server, delivery=delivery)
