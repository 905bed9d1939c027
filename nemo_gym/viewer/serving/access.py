"""Who may look: whoever opens the link with its token, which then is a cookie; and what a page may do."""

from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing from elsewhere, nothing inline, and no text ever becomes HTML: assigning to `innerHTML` raises."""

_HEADERS = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_NO_COOKIE = "This viewer opens with the link that ng_viewer has printed: it has a token in it.\n"


class LinkAccess:
    """Turns the token of the link into a cookie, and the cookie into the header that `TokenAuthMiddleware` wants.

    Args:
        app: The app with `TokenAuthMiddleware` around it.
        token: The viewer's.
        port: Part of the cookie's name: cookies of one host are shared by its ports.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._cookie = f"ng_viewer_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        shown = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and self._is_ours(shown):
            await self._enter()(scope, receive, send)
        elif self._is_ours(self._token_of(scope)):
            scope["headers"] = [*scope["headers"], (b"authorization", f"Bearer {self._token}".encode())]
            await self._app(scope, receive, send)
        elif scope["path"] == "/" and not _has_header(scope):
            await PlainTextResponse(_NO_COOKIE, 401)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_ours(self, token: str) -> bool:
        return compare_digest(token.encode(), self._token.encode())

    def _enter(self) -> RedirectResponse:
        answer = RedirectResponse("/", 303, {"cache-control": "no-store"})
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
        return answer

    def _token_of(self, scope: Scope) -> str:
        cookies: SimpleCookie = SimpleCookie()
        for name, value in scope["headers"]:
            if name == b"cookie":
                try:
                    cookies.load(value.decode("latin-1"))
                except CookieError:
                    return ""
        return cookies[self._cookie].value if self._cookie in cookies else ""


class PageHeaders:
    """Adds the headers that keep a page from doing anything but showing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if scope["path"].startswith("/api/"):
                    headers["cache-control"] = "no-store"
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _has_header(scope: Scope) -> bool:
    return any(name == b"authorization" for name, _ in scope["headers"])
