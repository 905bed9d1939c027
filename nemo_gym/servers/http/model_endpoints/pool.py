"""Equal endpoints of one model: who is asked, who is down, and when a dead one is asked again.

The endpoint with the least work in flight is taken; calls of one rollout stay at one endpoint, whose prompt cache knows
their prefix, and move only when it is gone. An endpoint that can't be reached gets no calls until a probe finds it.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from nemo_gym.config.secrets import mask_text
from nemo_gym.servers.http.retry import RetryLimit, TransportLimits
from nemo_gym.servers.http.transport import Deadline, request
from nemo_gym.wire.failure import RolloutError

_FIRST_PROBE_S, _LONGEST_PROBE_PAUSE_S = 0.5, 15.0
_PROBE_TIMEOUT_S = 5.0
_REMEMBERED_ROLLOUTS = 100_000
_log = logging.getLogger("nemo_gym.model")

_ONCE = TransportLimits(cannot_connect=RetryLimit("cannot_connect", 1, 0), connection_lost=RetryLimit("lost", 1, 0))


@dataclass(eq=False)
class Endpoint:
    """One endpoint. `url` is its base URL without a slash at the end, `in_flight` its calls at this moment."""

    url: str
    in_flight: int = 0
    is_down: bool = False
    probing: "asyncio.Task[None] | None" = field(default=None, repr=False)


class EndpointPool:
    """The endpoints of one model. Belongs to one event loop once a call has failed.

    Args:
        urls: Base URLs, at least one.
        headers: Sent with a probe.
        options: Of the transport, for a probe.
    """

    def __init__(
        self, urls: Sequence[str], headers: Mapping[str, str], options: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        self._headers = headers
        self._options = options
        self._endpoints = [Endpoint(url) for url in _distinct(urls)]
        self._chosen_by_rollout: OrderedDict[str, Endpoint] = OrderedDict()

    @property
    def urls(self) -> list[str]:
        """Base URLs."""
        return [endpoint.url for endpoint in self._endpoints]

    def state(self) -> list[dict[str, Any]]:
        """Return `url`, `in_flight` and `is_down` of each endpoint, URLs without credentials."""
        return [
            {"url": mask_text(one.url), "in_flight": one.in_flight, "is_down": one.is_down} for one in self._endpoints
        ]

    def replace(self, urls: Sequence[str]) -> None:
        """Take other endpoints from now on: what is in flight at one that is gone ends there.

        Raises:
            ValueError: There would be none.
        """
        wanted = _distinct(urls)
        if not wanted:
            raise ValueError("a model needs at least one endpoint")
        known = {endpoint.url: endpoint for endpoint in self._endpoints}
        self._endpoints = [known.get(url) or Endpoint(url) for url in wanted]

    @contextmanager
    def call(self, rollout: str | None, besides: Collection[Endpoint] = ()) -> Iterator[Endpoint]:
        """Give the endpoint for one call, which counts as its work within the `with` block.

        Args:
            rollout: Calls with the same text stay together; None: each goes where the least is to do.
            besides: Endpoints that this call has tried without success.
        """
        endpoint = self._choose(rollout, besides)
        endpoint.in_flight += 1
        try:
            yield endpoint
        finally:
            endpoint.in_flight -= 1

    def rename(self, rollout: str, new: str) -> None:
        """Let calls with the text `new` stay where those with `rollout` went, as a conversation goes on."""
        endpoint = self._chosen_by_rollout.pop(rollout, None)
        if endpoint is not None:
            self._remember(new, endpoint)

    def has_up_besides(self, tried: Collection[Endpoint]) -> bool:
        """Tell whether an endpoint is up that a call has not tried yet."""
        return any(not endpoint.is_down and endpoint not in tried for endpoint in self._endpoints)

    def mark_down(self, endpoint: Endpoint) -> None:
        """Give an endpoint no calls until a probe finds it."""
        if not endpoint.is_down:
            endpoint.is_down = True
            _log.warning("endpoint %s can't be reached: others take over until it answers", mask_text(endpoint.url))
        if endpoint.probing is None or endpoint.probing.done():
            endpoint.probing = asyncio.ensure_future(self._probe_until_up(endpoint))

    def _choose(self, rollout: str | None, besides: Collection[Endpoint]) -> Endpoint:
        if len(self._endpoints) == 1:
            return self._endpoints[0]
        kept = self._chosen_by_rollout.get(rollout) if rollout is not None else None
        if kept is not None and not kept.is_down and kept not in besides and kept in self._endpoints:
            return kept
        untried = [endpoint for endpoint in self._endpoints if endpoint not in besides] or self._endpoints
        up = [endpoint for endpoint in untried if not endpoint.is_down] or untried
        chosen = min(up, key=lambda endpoint: endpoint.in_flight)
        if kept is not None:
            _log.info("a rollout moves from %s to %s", mask_text(kept.url), mask_text(chosen.url))
        if rollout is not None:
            self._remember(rollout, chosen)
        if len(up) > 1:  # among equals, the next in turn
            self._endpoints.append(self._endpoints.pop(self._endpoints.index(chosen)))
        return chosen

    def _remember(self, rollout: str, endpoint: Endpoint) -> None:
        self._chosen_by_rollout[rollout] = endpoint
        self._chosen_by_rollout.move_to_end(rollout)
        while len(self._chosen_by_rollout) > _REMEMBERED_ROLLOUTS:
            self._chosen_by_rollout.popitem(last=False)

    async def _probe_until_up(self, endpoint: Endpoint) -> None:
        pause_s = _FIRST_PROBE_S
        while endpoint.is_down and endpoint in self._endpoints:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PROBE_PAUSE_S)
            bound = Deadline(_PROBE_TIMEOUT_S, "the bound of a probe")
            try:
                answer = await request(
                    "GET",
                    f"{endpoint.url}/models",
                    headers=self._headers,
                    deadline=bound,
                    limits=_ONCE,
                    **self._options,
                )
            except RolloutError:
                continue
            if answer.status < 500:  # whatever it says about the route, somebody is there
                endpoint.is_down = False
                _log.warning("endpoint %s answers again", mask_text(endpoint.url))


def _distinct(urls: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(url.rstrip("/") for url in urls))
