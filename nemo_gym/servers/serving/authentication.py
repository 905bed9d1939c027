"""Authentication in front of an app: a request from the network needs the run's token and a host name that is ours.

Pure ASGI, around the app where sockets are served. Calls between servers of one process don't pass through it.
"""

from collections.abc import Awaitable
from hmac import compare_digest
from typing import Any

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.config.addresses import is_loopback
from nemo_gym.config.env_names import RUN_TOKEN_ENV
from nemo_gym.servers.runs.token import TOKEN_HEADER
from nemo_gym.wire.failure import OwnKind, failure_body, own_kind, rollout_error

HEALTH_PATH = "/health"
UNAUTHORIZED_KIND, MISDIRECTED_KIND = own_kind("http", "unauthorized"), own_kind("http", "misdirected")

_TOKEN_HEADER = TOKEN_HEADER.encode()
_SCHEME = b"bearer "
_MAX_REMEMBERED_HOSTS = 64

_HOW_TO_GET_IN = (
    "this server belongs to a run and wants the run's token, which is missing or wrong. The commands and ServerClient "
    f"of the user who started the run find it by themselves, unless {RUN_TOKEN_ENV} is set, which wins. Everyone else "
    f"sets {RUN_TOKEN_ENV}, or sends the header `Authorization: Bearer <token>` or `{TOKEN_HEADER}: <token>`. The "
    "token is the file `token` in the run's directory; `ng_status +token_file=true` says where that is."
)
_NOT_OUR_NAME = (
    "this server listens on this machine alone, and answers only to localhost, 127.0.0.1, [::1] or the `host` it was "
    "configured with. Another name in the Host header may be a web page that has itself resolved to this machine."
)


class TokenAuthMiddleware:
    """Lets requests in.

    Args:
        app: The app that is protected.
        token: What a request must present on every route but `GET /health`; None lets everyone in.
        loopback_name: For an app that listens on loopback alone: the name it is called by, beside those that every
            machine has for itself. None, for one that others reach, does not look at the Host header.
    """

    def __init__(self, app: ASGIApp, token: str | None, loopback_name: str | None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._bearer = None if token is None else b"Bearer " + token.encode()
        self._name = loopback_name
        self._known_hosts: set[bytes] = set()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request: as the app does, or with 401 or 421."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        is_for_us, shown = self._name is None, None
        headers = scope["headers"]
        for header in headers:
            name = header[0]
            if name == b"host":
                is_for_us = header[1] in self._known_hosts or self._is_for_us(header[1])
                if not is_for_us:
                    break
            elif (name == b"authorization" or name == _TOKEN_HEADER) and self._opens(header):
                shown = header
        if not is_for_us:
            return _refuse(send, 421, MISDIRECTED_KIND, _NOT_OUR_NAME)
        if shown is not None:
            # No handler sees the token, just as it sees none of a call in memory.
            scope["headers"] = [header for header in headers if header is not shown]
        elif self._token is not None and not (scope["path"] == HEALTH_PATH and scope["method"] == "GET"):
            return _refuse(send, 401, UNAUTHORIZED_KIND, _HOW_TO_GET_IN)
        return self._app(scope, receive, send)

    def _opens(self, header: tuple[bytes, bytes]) -> bool:
        name, value = header
        if self._token is None or self._bearer is None:
            return False
        if name == _TOKEN_HEADER:
            return compare_digest(value, self._token)
        if compare_digest(value, self._bearer):
            return True
        scheme = len(_SCHEME)
        return value[:scheme].lower() == _SCHEME and compare_digest(value[scheme:].strip(), self._token)

    def _is_for_us(self, value: bytes) -> bool:
        if self._name is None:
            return True
        host, port = _split(value.decode("latin-1"))
        if not (port == "" or port.isdecimal()) or not (is_loopback(host) or host == self._name.lower()):
            return False
        if len(self._known_hosts) < _MAX_REMEMBERED_HOSTS:
            self._known_hosts.add(value)
        return True


def _split(host: str) -> tuple[str, str]:
    """Return host and port of a Host header, in lower case and without brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        inner, closed, rest = host[1:].partition("]")
        is_right = closed and ":" in inner and (rest == "" or rest.startswith(":"))
        return (inner, rest[1:]) if is_right else ("", "")
    name, _, port = host.partition(":")
    return name.removesuffix("."), port


async def _refuse(send: Send, status: int, kind: OwnKind, reason: str) -> None:
    failure = rollout_error(kind, reason, status=status).failure.model_copy(update={"terminal": True})
    body = orjson.dumps(failure_body(failure))
    headers: list[Any] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *([(b"www-authenticate", b"Bearer")] if status == 401 else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
