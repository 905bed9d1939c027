"""The answer to one request, read whole, with the interface of aiohttp's response."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from nemo_gym.wire.failure import AnyKind, RolloutError, parse_failure_body, rollout_error
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
        """Nothing to do: part of aiohttp's interface."""

    async def __aenter__(self) -> "HttpResponse":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.release()


class ResponseError(RolloutError, aiohttp.ClientResponseError):
    """The failure that an error response carries, which is also aiohttp's exception for it.

    Attributes:
        status: HTTP status.
        response_content: The body, bytes.
    """

    def __init__(self, error: RolloutError, response: HttpResponse) -> None:
        url = URL(response.url)
        request = aiohttp.RequestInfo(url, response.method, CIMultiDictProxy(CIMultiDict()), url)
        aiohttp.ClientResponseError.__init__(
            self, request, (), status=response.status, message=error.failure.reason, headers=response.headers
        )
        self.failure, self.trajectory = error.failure, error.trajectory
        self.response_content = response.body

    def __str__(self) -> str:
        return f"{self.failure.kind}: {self.failure.reason}"


def failure_of(response: HttpResponse) -> RolloutError:
    """Return the failure that an error response carries; one that carries none is named by its status."""
    return ResponseError(carried_failure(response) or _named_by_status(response), response)


def carried_failure(response: HttpResponse) -> RolloutError | None:
    """Return the failure in our own envelope; None where the response has none."""
    try:
        return parse_failure_body(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        return None


def _named_by_status(response: HttpResponse) -> RolloutError:
    text = response.body[:2_000].decode("utf-8", "replace")
    kind = _kind_by_status(response)
    said = f"answered {response.status} to {response.method} {response.url}: {text[:300]}"
    reason = f"{response.server or response.url} {said}"
    return rollout_error(kind, reason, server=response.server or None, status=response.status, upstream_body=text)


def _kind_by_status(answer: HttpResponse) -> AnyKind:
    if urlsplit(answer.url).path in MODEL_PATHS:
        return classify_model_error(answer.status, answer.body)[0]
    return kind_of_status(answer.status, "agent_error")


def cookie_header(cookies: Mapping[str, Any]) -> str:
    """Return the value of the `Cookie` header for cookies given as text or as morsels."""
    return "; ".join(f"{name}={getattr(value, 'value', value)}" for name, value in cookies.items())
