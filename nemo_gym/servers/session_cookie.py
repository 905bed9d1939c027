"""The signed session cookie: pure ASGI middleware that gives every request its session id.

Cookie `<ClassName>___<instance name>` = signed id. A request without one gets a new id; the agent chooses the id of a
session it seeds, with the header `x-nemo-gym-session-id`, so that a seed whose answer was lost can be sent again.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import Any

from itsdangerous import BadSignature, Signer
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nemo_gym.servers.session_id import (
    SESSION_ID_HEADER,
    SESSION_ID_KEY,
    SESSION_KEPT_HEADER,
    SESSION_KEPT_KEY,
)
from nemo_gym.servers.worker import new_session_id, own_worker_index, owner_of
from nemo_gym.servers.worker_forward import forward
from nemo_gym.wire.failure import failure_body, rollout_error

SEED_PATH = "/seed_session"
_ID_HEADER = SESSION_ID_HEADER.encode()
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


class SessionCookieMiddleware:
    """Puts `{SESSION_ID_KEY: id}` into `scope["session"]`, and a new id that somebody asked for into a cookie.

    Args:
        worker_urls: The own address of each worker of this server; a request of another worker's session goes there.
    """

    def __init__(self, app: ASGIApp, cookie_name: str, secret: str, worker_urls: Sequence[str] = ()) -> None:
        self.app = app
        self._worker_urls = worker_urls
        self._name = cookie_name
        # The key of this server alone, derived once: itsdangerous would derive it anew for every signature.
        key = hmac.digest(secret.encode(), cookie_name.encode(), "sha256")
        self._signer = Signer(key, key_derivation="none", digest_method=hashlib.sha256)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            session_id, is_new = self._session_id(scope["headers"])
        except BadSignature:
            await _refuse(self._name, scope, receive, send)
            return
        if self._worker_urls and session_id is not None:
            owner = owner_of(session_id, len(self._worker_urls))
            if owner != own_worker_index():
                await forward(self._worker_urls[owner], scope, receive, send)
                return
        session = NewSession() if session_id is None else {SESSION_ID_KEY: session_id}
        scope["session"] = session
        # A seed is always answered with its cookie: it tells the caller whether the session is kept.
        answers = is_new or scope["path"] == SEED_PATH
        await self.app(scope, receive, self._with_cookie(send, session) if answers else send)

    def _session_id(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, bool]:
        """The id a request names, None when it names none; and whether the caller has no cookie for it."""
        chosen = None
        for name, value in headers:
            if name == b"cookie":
                signed = _cookie_value(value.decode("latin-1"), self._name)
                if signed is not None:
                    return self._signer.unsign(signed).decode(), False
            elif name == _ID_HEADER:
                chosen = value.decode("latin-1")
        if chosen is not None and _ID_PATTERN.fullmatch(chosen):
            return chosen, True
        return None, True

    def _with_cookie(self, send: Send, session: dict[str, Any]) -> Send:
        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and dict.__contains__(session, SESSION_ID_KEY):
                value = self._signer.sign(session[SESSION_ID_KEY]).decode()
                headers = MutableHeaders(scope=message)
                headers.append("set-cookie", f"{self._name}={value}; Path=/; HttpOnly; SameSite=Lax")
                if SESSION_KEPT_KEY in session:
                    headers.append(SESSION_KEPT_HEADER, session[SESSION_KEPT_KEY])
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
