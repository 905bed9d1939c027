"""The answer to one request, read whole, with the face of aiohttp's response."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import orjson
from multidict import CIMultiDict

from nemo_gym.wire.failure import RolloutError, parse_failure_body, rollout_error
from nemo_gym.wire.http_errors import classify_model_error, kind_of_status

MODEL_PATHS = ("/v1/responses", "/v1/chat/completions")


class _Content:
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self, n: int = -1) -> bytes:
        return self._body if n < 0 else self._body[:n]


@dataclass
class HttpResponse:
    """Status, headers and body of an answer. The body is already here, so nothing is left to release."""

    status: int
    headers: CIMultiDict[str]
    body: bytes
    method: str
    url: str
    server: str = field(default="", kw_only=True)

    @property
    def ok(self) -> bool:
        """True below status 400."""
        return self.status < 400

    @cached_property
    def cookies(self) -> SimpleCookie:
        """The cookies this answer sets: pass them on with the next request of the same session."""
        cookies: SimpleCookie = SimpleCookie()
        for line in self.headers.getall("set-cookie", []):
            cookies.load(line)
        return cookies

    @property
    def content(self) -> _Content:
        """Body with aiohttp's stream method `read()`."""
        return _Content(self.body)

    async def read(self) -> bytes:
        """Return the body."""
        return self.body

    async def text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text."""
        return self.body.decode(encoding, errors)

    async def json(self, **_: Any) -> Any:
        """Return the decoded JSON body; raises `orjson.JSONDecodeError`."""
        return orjson.loads(self.body)

    def raise_for_status(self) -> None:
        """Raise the failure this answer carries, if its status says that it is one."""
        if not self.ok:
            raise failure_of(self)

    def release(self) -> None:
        """Nothing to do: aiohttp's face."""

    async def __aenter__(self) -> "HttpResponse":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.release()


def failure_of(answer: HttpResponse) -> RolloutError:
    """Return the failure that an error answer carries; one that carries none is named by its status."""
    try:
        carried = parse_failure_body(orjson.loads(answer.body))
    except orjson.JSONDecodeError:
        carried = None
    if carried is not None:
        return carried
    text = answer.body[:2_000].decode("utf-8", "replace")
    kind = _kind_by_status(answer)
    reason = f"{answer.server or answer.url} answered {answer.status} to {answer.method} {answer.url}: {text[:300]}"
    return rollout_error(kind, reason, server=answer.server or None, status=answer.status, upstream_body=text)


def _kind_by_status(answer: HttpResponse) -> str:
    if urlsplit(answer.url).path in MODEL_PATHS:
        return classify_model_error(answer.status, answer.body)[0]
    return kind_of_status(answer.status, "agent_error")


def cookie_header(cookies: Mapping[str, Any]) -> str:
    """Return the value of the `Cookie` header for cookies given as text or as morsels."""
    return "; ".join(f"{name}={getattr(value, 'value', value)}" for name, value in cookies.items())
