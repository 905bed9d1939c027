"""The signed session cookie: pure ASGI middleware that gives every request its session id.

Cookie `<ClassName>___<instance name>` = signed id; a client of `/mcp`, which may not be able to send cookies, can send
it in the header `x-nemo-gym-session-id`. Elsewhere a request without one gets a new id; the agent chooses the id of a
session it seeds, with that header, so that a seed whose answer was lost can be sent again.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from itsdangerous import BadSignature, Signer
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nemo_gym.servers.http.session_ids import (
    SESSION_ID_HEADER,
    SESSION_ID_KEY,
    SESSION_KEPT_HEADER,
    SESSION_KEPT_KEY,
    TAKES_TURNS_HEADER,
    TAKES_TURNS_KEY,
    new_session_id,
    own_worker_index,
    owner_of,
)
from nemo_gym.servers.sessions.forwarding import forward
from nemo_gym.servers.sessions.tools import MCP_PATH
from nemo_gym.wire.failure import failure_body, rollout_error

_NO_SALT = bytes(32)
_FIRST_BLOCK = b"\x01"


def derived_key(secret: str, purpose: str) -> bytes:
    """Return 32 bytes that tell nothing about the secret, or about the key for another purpose.

    Source:
        HKDF-SHA256, RFC 5869, without salt; one block of output.
    """
    extracted = hmac.digest(_NO_SALT, secret.encode(), "sha256")
    return hmac.digest(extracted, purpose.encode() + _FIRST_BLOCK, "sha256")


# An id without a signature opens a session, or closes one whose cookie was lost with the answer; nothing else.
_CHOOSING_PATHS = ("/seed_session", "/close_session")
_ID_HEADER = SESSION_ID_HEADER.encode()
_TOLD_WITH_A_SEED = {SESSION_KEPT_KEY: SESSION_KEPT_HEADER.encode(), TAKES_TURNS_KEY: TAKES_TURNS_HEADER.encode()}
_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{16,128}")


class NewSession(dict[str, Any]):
    """The session of a request that names none: its id is made when somebody asks for it, which most never do."""

    def __missing__(self, key: str) -> Any:
        if key != SESSION_ID_KEY:
            raise KeyError(key)
        self[key] = made = new_session_id(is_own=True)
        return made

    def __contains__(self, key: object) -> bool:
        return key == SESSION_ID_KEY or super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value as `[]` does, or the default."""
        if key == SESSION_ID_KEY:
            return self[key]
        return super().get(key, default)


class RequestSession(NamedTuple):
    """The session of a request.

    Attributes:
        values: What the handler finds in `request.session`.
        signed: The signed id the request came with; None when the caller has no cookie for it.
        worker_url: The address of the worker that holds it, if another.
    """

    values: dict[str, Any]
    signed: str | None = None
    worker_url: str | None = None


class SessionCookieMiddleware:
    """Puts `{SESSION_ID_KEY: id}` into `scope["session"]`, and a known session into the cookie of every response.

    Callers may pass on the cookies of the last response only, so each one has it; a new id that nobody asked for is
    not known.

    Args:
        worker_urls: The own address of each worker of this server; a request of another worker's session goes there.
    """

    def __init__(self, app: ASGIApp, cookie_name: str, secret: str, worker_urls: Sequence[str] = ()) -> None:
        self.app = app
        self._worker_urls = worker_urls
        self._name = cookie_name
        # The key of this server alone, derived once: itsdangerous would derive it anew for every signature.
        key = derived_key(secret, cookie_name)
        self._signer = Signer(key, key_derivation="none", digest_method=hashlib.sha256)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            session = self._session(scope)
        except BadSignature:
            await _refuse(self._name, scope, receive, send)
            return
        if session.worker_url is not None:
            await forward(session.worker_url, scope, receive, send)
            return
        scope["session"] = session.values
        await self.app(scope, receive, self._with_cookie(send, session))

    def own_session(self, scope: Scope) -> RequestSession | None:
        """Return the session of a request; None when it is refused, or another worker's to respond to."""
        try:
            session = self._session(scope)
        except BadSignature:
            return None
        return session if session.worker_url is None else None

    def response_headers(self, session: RequestSession) -> list[tuple[bytes, bytes]]:
        """Return the headers by which the caller learns its session; none when nobody asked for it."""
        values = session.values
        if not dict.__contains__(values, SESSION_ID_KEY):
            return []
        signed = session.signed or self._signer.sign(values[SESSION_ID_KEY]).decode()
        headers = [(b"set-cookie", f"{self._name}={signed}; Path=/; HttpOnly; SameSite=Lax".encode())]
        headers += [(header, values[key].encode()) for key, header in _TOLD_WITH_A_SEED.items() if key in values]
        return headers

    def _session(self, scope: Scope) -> RequestSession:
        path = scope["path"]
        session_id, signed = self._named(scope["headers"], path)
        if session_id is None:
            return RequestSession(NewSession())
        return RequestSession({SESSION_ID_KEY: session_id}, signed, worker_url=self._other_workers_url(session_id))

    def _other_workers_url(self, session_id: str) -> str | None:
        if not self._worker_urls:
            return None
        owner = owner_of(session_id, len(self._worker_urls))
        return self._worker_urls[owner] if owner != own_worker_index() else None

    def _named(self, headers: Iterable[tuple[bytes, bytes]], path: str) -> tuple[str | None, str | None]:
        """Return the id a request names, None when it names none; and the signed id of its cookie, if it has one."""
        chosen = None
        for name, value in headers:
            if name == b"cookie":
                signed = _cookie_value(value.decode("latin-1"), self._name)
                if signed is not None:
                    return self._signer.unsign(signed).decode(), signed
            elif name == _ID_HEADER and path in _CHOOSING_PATHS:
                chosen = value.decode("latin-1")
            elif name == _ID_HEADER and path == MCP_PATH:
                signed = value.decode("latin-1")
                return self._signer.unsign(signed).decode(), signed
        if chosen is not None and _ID_PATTERN.fullmatch(chosen):
            return chosen, None
        return None, None

    def _with_cookie(self, send: Send, session: RequestSession) -> Send:
        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *self.response_headers(session)]}
            await send(message)

        return send_with_cookie


def _cookie_value(header: str, name: str) -> str | None:
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value.strip('"')
    return None


async def _refuse(cookie_name: str, scope: Scope, receive: Receive, send: Send) -> None:
    error = rollout_error("session_lost", f"the session cookie {cookie_name} was not signed by this server")
    await JSONResponse(failure_body(error.failure), status_code=error.failure.status)(scope, receive, send)
