"""Calls to an OpenAI-compatible endpoint, within the one retry policy for model endpoints."""

import asyncio
import itertools
import logging
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.secrets import learn_secrets
from nemo_gym.servers.http.response import HttpResponse
from nemo_gym.servers.http.retry import MODEL_ENDPOINT, RetryCounter, RetryLimit
from nemo_gym.servers.http.transport import request
from nemo_gym.wire.carried_responses import CarriedParams, CarriedResponse
from nemo_gym.wire.failure import RolloutError, rollout_error
from nemo_gym.wire.http_errors import classify_model_error

_log = logging.getLogger("nemo_gym.model")
_WORTH_RETRYING = ("model_rate_limited", "model_unavailable")
_MAX_BODY_READ_BYTES = 65_536  # much more than an error shows


class NeMoGymAsyncOpenAI:
    """A client for one model behind one or several equal endpoints, asked in turn.

    Args:
        base_url: `https://…/v1`, or a list of such URLs that serve the same model.
        api_key: Sent as a bearer token; empty: none is sent.
        name: The server that asks, for errors.
        limit: How often and how long 429 and 5xx answers are tried again.

    Raises:
        ConfigError: There is a key, and a URL with credentials of its own.
    """

    def __init__(
        self,
        base_url: str | list[str],
        api_key: str = "",
        name: str = "model endpoint",
        limit: RetryLimit = MODEL_ENDPOINT,
    ) -> None:
        self._base_urls = [base_url] if isinstance(base_url, str) else list(base_url)
        learn_secrets({"api_key": api_key, "base_url": self._base_urls})  # the endpoint may repeat what it was sent
        if api_key and any(urlsplit(url).username is not None for url in self._base_urls):
            raise ConfigError(_two_credentials(name))
        self._turn = itertools.cycle(url.rstrip("/") for url in self._base_urls)
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._name = name
        self._limit = limit

    async def create_response(self, **params: Any) -> dict[str, Any]:
        """POST `/responses`; return the decoded answer.

        Raises:
            RolloutError: One of the `model_*` kinds, `context_length_exceeded`, or a transport kind.
        """
        return self._decoded(await self._create("/responses", params))

    async def carry_response(self, params: CarriedParams) -> CarriedResponse:
        """POST `/responses`; return the answer as its text, unchecked. Raises like `create_response`."""
        return CarriedResponse.unchecked((await self._create("/responses", params)).body)

    async def create_chat_completion(self, **params: Any) -> dict[str, Any]:
        """POST `/chat/completions`; return the decoded answer. Raises like `create_response`."""
        return self._decoded(await self._create("/chat/completions", params))

    async def _create(self, path: str, params: dict[str, Any] | CarriedParams) -> HttpResponse:
        counter = RetryCounter()
        while True:
            # Generating again changes nothing at the endpoint, so a lost connection may be retried.
            answer = await request(
                "POST", next(self._turn) + path, json=params, headers=self._headers, replay_safe=True, server=self._name
            )
            if answer.ok:
                return answer
            delay = self._delay(answer, counter)
            if delay is None:
                raise self._failure(answer, counter)
            _log.debug("status %s: attempt again in %.1f s", answer.status, delay)
            await asyncio.sleep(delay)

    def _decoded(self, answer: HttpResponse) -> dict[str, Any]:
        try:
            decoded = orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise self._error("model_bad_output", f"answered no JSON ({error})", answer) from error
        if not isinstance(decoded, dict):
            raise self._error("model_bad_output", f"answered a JSON {type(decoded).__name__}, not an object", answer)
        return decoded

    def _delay(self, answer: HttpResponse, counter: RetryCounter) -> float | None:
        if classify_model_error(answer.status, answer.body)[0] not in _WORTH_RETRYING:
            return None
        return counter.delay_before_next(self._limit, retry_after_s=_retry_after_s(answer))

    def _failure(self, answer: HttpResponse, counter: RetryCounter) -> RolloutError:
        kind, message = classify_model_error(answer.status, answer.body)
        said = f"answered {answer.status}: {message}"
        if kind in _WORTH_RETRYING:
            bound = f"{self._limit.attempts} attempts within {self._limit.within_s:g} s"
            said += f" (attempt {counter.attempts(self._limit)}; bound: {bound})"
        return self._error(kind, said, answer)

    def _error(self, kind: str, reason: str, answer: HttpResponse) -> RolloutError:
        body = answer.body[:_MAX_BODY_READ_BYTES].decode("utf-8", "replace")
        return rollout_error(
            kind, f"{self._name}: {reason}", server=self._name, status=answer.status, upstream_body=body
        )


def _two_credentials(name: str) -> Mistake:
    what = f"{name} has an API key, and its URL has credentials too: a request carries one of them"
    return Mistake(what, fix="take the credentials out of the URL, or leave the key empty: ''")


def _retry_after_s(answer: HttpResponse) -> float | None:
    """Return the seconds `Retry-After` asks for (RFC 9110, section 10.2.3: a number or a date)."""
    value = answer.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
