"""Calls to OpenAI-compatible endpoints, within the one retry policy for model endpoints."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.secrets import learn_secrets, mask_text
from nemo_gym.servers.http.model_endpoints.pool import Endpoint, EndpointPool
from nemo_gym.servers.http.response import HttpResponse, ResponseError
from nemo_gym.servers.http.retry import (
    CANNOT_CONNECT,
    CONNECTION_LOST,
    MODEL_ENDPOINT,
    RetryCounter,
    RetryLimit,
    TransportLimits,
    retry_after_s,
)
from nemo_gym.servers.http.transport import request
from nemo_gym.wire.failure import FailureKind, RolloutError, rollout_error
from nemo_gym.wire.http_errors import classify_model_error
from nemo_gym.wire.raw_responses import RawParams

_log = logging.getLogger("nemo_gym.model")
_WORTH_RETRYING = ("model_rate_limited", "model_unavailable")
_NAMES_A_MODEL = re.compile("model|deployment", re.IGNORECASE)
_GONE = ("transport_unreachable", "transport_dropped")
_MAX_BODY_READ_BYTES = 65_536  # much more than an error shows
# The pool below counts these itself: another endpoint may be up.
_ONE_ATTEMPT = TransportLimits(
    cannot_connect=RetryLimit("cannot_connect", 1, 0.0), connection_lost=RetryLimit("connection_lost", 1, 0.0)
)

HeaderSource = Callable[[], Awaitable[Mapping[str, str]]]


class NoSuchRouteError(ResponseError):
    """The endpoint doesn't have the route that was asked."""


class NeMoGymAsyncOpenAI:
    """A client for one model behind one or several equal endpoints.

    Args:
        base_url: `https://…/v1`, or a list of such URLs that serve the same model.
        api_key: Sent as a bearer token; empty: none is sent.
        internal: Accepted for programs that pass it; every endpoint is treated alike.
        name: The server that asks, for errors.
        limit: How often and how long 429 and 5xx answers are tried again.
        unreachable: The same for endpoints of which none can be reached, once one of them has been: they are being
            restarted. Before that the URL may be wrong, and the usual limit holds.
        lost: The same for connections that are lost before the answer is there.
        headers: Sent with every request.
        fresh_headers: Asked for more headers before each attempt: for tokens that expire.
        query: Parameters added to each URL.
        proxy: URL of the HTTP proxy through which the endpoints are reached; None: they are asked directly.

    Raises:
        ConfigError: There is a key, and a URL with credentials of its own.
    """

    def __init__(
        self,
        base_url: str | Sequence[str],
        api_key: str = "",
        internal: bool = False,
        *,
        name: str = "model endpoint",
        limit: RetryLimit = MODEL_ENDPOINT,
        unreachable: RetryLimit = CANNOT_CONNECT,
        lost: RetryLimit = CONNECTION_LOST,
        headers: Mapping[str, str] | None = None,
        fresh_headers: HeaderSource | None = None,
        query: Mapping[str, str] | None = None,
        proxy: str | None = None,
    ) -> None:
        self.base_url = base_url
        self.api_key = api_key
        urls = [base_url] if isinstance(base_url, str) else list(base_url)
        learn_secrets(
            {"api_key": api_key, "base_url": urls, "proxy": proxy}
        )  # the endpoint may repeat what it was sent
        if api_key and any(urlsplit(url).username is not None for url in urls):
            raise ConfigError(_two_credentials(name))
        authorization = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._headers = {**authorization, **(headers or {})}
        self._fresh_headers = fresh_headers
        self._options: dict[str, Any] = {"params": dict(query)} if query else {}
        if proxy:
            self._options["proxy"] = proxy
        self.endpoints = EndpointPool(urls, self._headers, self._options)
        self._name = name
        self._limit = limit
        self._unreachable = unreachable
        self._lost = lost
        self._has_answered = False

    async def create_response(self, **params: Any) -> dict[str, Any]:
        """POST `/responses`; return the decoded answer.

        Raises:
            RolloutError: One of the `model_*` kinds, `context_length_exceeded`, or a transport kind. Where there was an
                answer it is also an `aiohttp.ClientResponseError`.
        """
        return self.decoded(await self.send("/responses", params))

    async def create_raw_response(self, params: RawParams) -> bytes:
        """POST `/responses`; return the answer as its text, unchecked. Raises like `create_response`."""
        return (await self.send("/responses", params)).body

    async def create_chat_completion(self, **params: Any) -> dict[str, Any]:
        """POST `/chat/completions`; return the decoded answer. Raises like `create_response`."""
        return self.decoded(await self.send("/chat/completions", params))

    async def create_tokenize(self, **params: Any) -> dict[str, Any]:
        """POST `/tokenize`, which stands beside `/v1`; return the decoded answer. Raises like `create_response`."""
        return self.decoded(await self.send("/tokenize", params, at_root=True))

    async def create_models(self) -> dict[str, Any]:
        """GET `/models`; return the decoded list. Raises like `create_response`."""
        return self.decoded(await self.send("/models", None, method="GET"))

    async def send(
        self,
        path: str,
        body: Any,
        *,
        method: str = "POST",
        at_root: bool = False,
        rollout: str | None = None,
    ) -> HttpResponse:
        """Return the successful answer of one of the endpoints, after as many attempts as it takes.

        Args:
            path: Behind the base URL; with `at_root`, behind the base URL without its `/v1`.
            body: Sent as JSON.
            rollout: Calls with the same text stay at one endpoint.

        Raises:
            RolloutError: As in `create_response`.
        """
        counter, tried = RetryCounter(), set[Endpoint]()
        while True:
            try:
                with self.endpoints.call(rollout, tried) as endpoint:
                    answer = await self._attempt(method, endpoint, path, body, at_root)
            except RolloutError as error:
                await self._move_on(error, endpoint, tried, counter)
                continue
            tried.clear()
            self._has_answered = True
            if answer.ok:
                return answer
            delay = self._delay(answer, counter)
            if delay is None:
                raise self._failure(answer, counter)
            _log.debug("status %s: attempt again in %.1f s", answer.status, delay)
            await asyncio.sleep(delay)

    async def _attempt(self, method: str, endpoint: Endpoint, path: str, body: Any, at_root: bool) -> HttpResponse:
        url = (endpoint.url.removesuffix("/v1") if at_root else endpoint.url) + path
        headers = self._headers if self._fresh_headers is None else {**self._headers, **await self._fresh_headers()}
        # Generating again changes nothing at the endpoint, so a lost connection may be retried.
        return await request(
            method,
            url,
            json=body,
            headers=headers,
            replay_safe=True,
            server=self._name,
            limits=_ONE_ATTEMPT,
            **self._options,
        )

    async def _move_on(
        self, error: RolloutError, endpoint: Endpoint, tried: set[Endpoint], counter: RetryCounter
    ) -> None:
        """Return when the call may be tried again, at once where another endpoint is up; else raise the error."""
        if error.failure.kind not in _GONE:
            raise error
        tried.add(endpoint)
        is_unreachable = error.failure.kind == "transport_unreachable"
        if is_unreachable:
            self.endpoints.mark_down(endpoint)
        if self.endpoints.has_up_besides(tried):
            return
        delay = counter.delay_before_next(self._unreachable_limit if is_unreachable else self._lost)
        if delay is None:
            raise self._none_reachable(error) if is_unreachable else error
        tried.clear()
        await asyncio.sleep(delay)

    @property
    def _unreachable_limit(self) -> RetryLimit:
        return self._unreachable if self._has_answered else CANNOT_CONNECT

    def _none_reachable(self, error: RolloutError) -> RolloutError:
        limit = self._unreachable_limit
        urls = ", ".join(map(mask_text, self.endpoints.urls))
        reason = f"{self._name}: no endpoint could be reached ({limit.bound}): {urls}; last: {error.failure.reason}"
        return RolloutError(error.failure.model_copy(update={"reason": reason}), error.trajectory)

    def decoded(self, answer: HttpResponse) -> dict[str, Any]:
        """Return the JSON object of an answer; raises RolloutError `model_bad_output`."""
        try:
            decoded = orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise self._error("model_bad_output", f"the answer isn't valid JSON ({error})", answer) from error
        if not isinstance(decoded, dict):
            what = f"the answer is a JSON {type(decoded).__name__}, not an object"
            raise self._error("model_bad_output", what, answer)
        return decoded

    def _delay(self, answer: HttpResponse, counter: RetryCounter) -> float | None:
        if classify_model_error(answer.status, answer.body)[0] not in _WORTH_RETRYING:
            return None
        return counter.delay_before_next(self._limit, retry_after_s=retry_after_s(answer.headers.get("retry-after")))

    def _failure(self, answer: HttpResponse, counter: RetryCounter) -> RolloutError:
        kind, message = classify_model_error(answer.status, answer.body)
        said = f"{mask_text(answer.url)} answered {answer.status}: {message}"
        if kind in _WORTH_RETRYING:
            said += f" (attempt {counter.attempts(self._limit)}; bound: {self._limit.bound})"
        if answer.status in (404, 405) and not _NAMES_A_MODEL.search(message):
            error = self._error(kind, f"{said}. {_no_such_route(answer.url)}", answer)
            return NoSuchRouteError(error, answer)
        return self._error(kind, said, answer)

    def _error(self, kind: FailureKind, reason: str, answer: HttpResponse) -> RolloutError:
        body = answer.body[:_MAX_BODY_READ_BYTES].decode("utf-8", "replace")
        error = rollout_error(
            kind, f"{self._name}: {reason}", server=self._name, status=answer.status, upstream_body=body
        )
        return ResponseError(error, answer)


def _no_such_route(url: str) -> str:
    if "/v1/" not in urlsplit(url).path:
        return "It has no such route: base URLs usually end in /v1"
    if url.endswith("/responses"):
        return "It has no Responses API; with api: chat (or auto) it is asked through Chat Completions"
    return "It has no such route: check the base URL"


def _two_credentials(name: str) -> Mistake:
    what = f"{name} has an API key, and its URL has credentials too: a request carries one of them"
    return Mistake(what, fix="take the credentials out of the URL, or leave the key empty: ''")
