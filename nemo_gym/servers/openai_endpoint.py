"""Calls to an OpenAI-compatible endpoint, within the one retry policy for model endpoints."""

import asyncio
import itertools
import logging
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from nemo_gym.servers.answer import Answer
from nemo_gym.servers.retry import MODEL_ENDPOINT, RetryCounter
from nemo_gym.servers.transport import request
from nemo_gym.wire.failure import RolloutError, rollout_error

_log = logging.getLogger("nemo_gym.model")
_OVERFLOW = re.compile(
    r"context[ _](length|window)|maximum context|too many tokens|exceeds? the (available )?context", re.I
)


class NeMoGymAsyncOpenAI:
    """A client for one model behind one or several equal endpoints, asked in turn.

    Args:
        base_url: `https://…/v1`, or a list of such URLs that serve the same model.
        api_key: Sent as a bearer token; empty: none is sent.
        name: The server that asks, for errors.
    """

    def __init__(self, base_url: str | list[str], api_key: str = "", name: str = "model endpoint") -> None:
        self._base_urls = [base_url] if isinstance(base_url, str) else list(base_url)
        self._turn = itertools.cycle(url.rstrip("/") for url in self._base_urls)
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._secret = api_key
        self._name = name

    async def create_response(self, **params: Any) -> dict[str, Any]:
        """POST `/responses`; return the decoded answer.

        Raises:
            RolloutError: One of the `model_*` kinds, `context_length_exceeded`, or a transport kind.
        """
        return await self._create("/responses", params)

    async def create_chat_completion(self, **params: Any) -> dict[str, Any]:
        """POST `/chat/completions`; return the decoded answer. Raises like `create_response`."""
        return await self._create("/chat/completions", params)

    async def _create(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        counter = RetryCounter()
        while True:
            # Generating again changes nothing at the endpoint, so a lost connection may be retried.
            answer = await request(
                "POST", next(self._turn) + path, json=params, headers=self._headers, replay_safe=True, server=self._name
            )
            if answer.ok:
                return self._decoded(answer)
            failure = self._failure(answer, counter)
            if failure.failure.kind not in ("model_rate_limited", "model_unavailable"):
                raise failure
            delay = counter.delay_before_next(MODEL_ENDPOINT, retry_after_s=_retry_after_s(answer))
            if delay is None:
                raise self._failure(answer, counter)
            _log.debug("status %s: attempt again in %.1f s", answer.status, delay)
            await asyncio.sleep(delay)

    def _decoded(self, answer: Answer) -> dict[str, Any]:
        try:
            decoded = orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise self._error("model_bad_output", f"answered no JSON ({error})", answer) from error
        if not isinstance(decoded, dict):
            raise self._error("model_bad_output", f"answered a JSON {type(decoded).__name__}, not an object", answer)
        return decoded

    def _failure(self, answer: Answer, counter: RetryCounter) -> RolloutError:
        code, message = _error_code_and_message(answer.body)
        said = f"answered {answer.status}: {message}"
        match answer.status:
            case 429 if "insufficient_quota" in code:
                return self._error("model_quota_exhausted", said, answer)
            case 429 | 500 | 502 | 503 | 504 | 408:
                kind = "model_rate_limited" if answer.status == 429 else "model_unavailable"
                attempts = counter.attempts(MODEL_ENDPOINT)
                bound = f"{MODEL_ENDPOINT.attempts} attempts within {MODEL_ENDPOINT.within_s:g} s"
                return self._error(kind, f"{said} (attempt {attempts}; bound: {bound})", answer)
            case 401 | 403:
                return self._error("model_auth", said, answer)
            case _ if "context_length_exceeded" in code or _OVERFLOW.search(message):
                return self._error("context_length_exceeded", said, answer)
            case status if status >= 500:
                return self._error("model_unavailable", said, answer)
        return self._error("model_bad_request", said, answer)

    def _error(self, kind: str, reason: str, answer: Answer) -> RolloutError:
        body = answer.body[:4_000].decode("utf-8", "replace")
        if self._secret:
            reason, body = reason.replace(self._secret, "****"), body.replace(self._secret, "****")
        return rollout_error(
            kind, f"{self._name}: {reason}", server=self._name, status=answer.status, upstream_body=body
        )


def _error_code_and_message(body: bytes) -> tuple[str, str]:
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", body[:500].decode("utf-8", "replace")
    error = decoded.get("error", decoded) if isinstance(decoded, dict) else decoded
    if not isinstance(error, dict):
        return "", str(error)[:500]
    code = f"{error.get('code') or ''} {error.get('type') or ''}"
    return code, str(error.get("message") or error.get("detail") or error.get("reason") or error)[:500]


def _retry_after_s(answer: Answer) -> float | None:
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
