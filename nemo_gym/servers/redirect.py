"""Following a redirect that a server of this process answered with: it may lead anywhere, so it is a new request."""

from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDict
from yarl import URL

from nemo_gym.servers.answer import Answer

_REDIRECTS = (301, 302, 303, 307, 308)
_TO_GET = (301, 302, 303)
_OF_ONE_ORIGIN = ("authorization", "cookie", "proxy-authorization")


@dataclass(frozen=True)
class Redirect:
    """Where a request goes next.

    Attributes:
        options: As the first request's, but for what is not sent there again.
        stays: The target has the same origin, so it may be sent what the first request was sent.
    """

    method: str
    url: str
    options: dict[str, Any]
    stays: bool


def redirect_of(answer: Answer, options: dict[str, Any]) -> Redirect | None:
    """Return where an answer sends its caller, as the HTTP client would follow it; None when it is no redirect."""
    target = answer.headers.get("location") if answer.status in _REDIRECTS else None
    if target is None:
        return None
    before, after = URL(answer.url), URL(answer.url).join(URL(target))
    to_get = answer.status in _TO_GET and answer.method.upper() != "HEAD"
    stays = before.origin() == after.origin()
    left_out = {"params", *(("json", "data") if to_get else ()), *(() if stays else ("cookies", "auth"))}
    kept = {name: value for name, value in options.items() if name not in left_out}
    if not stays and kept.get("headers"):
        headers = CIMultiDict(kept["headers"])
        for name in _OF_ONE_ORIGIN:
            headers.popall(name, None)
        kept["headers"] = headers
    return Redirect("GET" if to_get else answer.method, str(after), kept, stays)
