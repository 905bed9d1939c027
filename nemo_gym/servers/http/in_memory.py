"""A request to a server in this process: the same ASGI app, called instead of connected to.

The app sees what it would see behind a socket, middleware and sessions included; the body is encoded and decoded at
this border as well, so that no two servers ever share an object. It takes what `transport.request` takes; what is only
about sockets (`ssl`, `proxy`, `compress`, …) changes nothing here.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from aiohttp import BasicAuth, ClientTimeout, FormData
from aiohttp.payload import PAYLOAD_REGISTRY, LookupError
from multidict import CIMultiDict
from starlette.types import ASGIApp, Scope
from yarl import URL

from nemo_gym.servers.http.asgi_call import AsgiCall
from nemo_gym.servers.http.json_body import encode_json
from nemo_gym.servers.http.response import HttpResponse
from nemo_gym.servers.http.retry import TRANSPORT_LIMITS, TransportLimits
from nemo_gym.servers.http.transport import Deadline, headers_of_call


async def request_in_memory(
    app: ASGIApp,
    method: str,
    url: str,
    *,
    server: str,
    json: Any = None,
    data: Any = None,
    params: Any = None,
    cookies: Mapping[str, Any] | None = None,
    headers: Any = None,
    timeout: ClientTimeout | float | None = None,
    deadline: Deadline | None = None,
    limits: TransportLimits = TRANSPORT_LIMITS,
    auth: BasicAuth | None = None,
    **_about_a_wire: Any,
) -> HttpResponse:
    """Send one request to `app` and return its answer; arguments as in `nemo_gym.servers.http.transport.request`.

    Raises:
        RolloutError: The deadline's kind; `transport_timeout` (aiohttp's own `timeout`); `transport_dropped` when the
            app ended in the middle of its answer, or when that is longer than the limit.
        ValueError: Both `auth` and an `Authorization` header.
    """
    sent = headers_of_call(headers, cookies, auth)
    if json is not None:
        body = encode_json(json)
        sent["content-type"] = "application/json"
    else:
        body = b"" if data is None else await _encoded(data, sent)
    scope = _scope(method, url, params, sent, len(body))
    call = AsgiCall(app, scope, body, server, limits.max_answer_bytes, _tighter(deadline, timeout))
    return await call.response(method, url)


def _tighter(deadline: Deadline | None, timeout: ClientTimeout | float | None) -> Deadline | None:
    """Return the one bound of a call: ours, or what of aiohttp's `timeout` has a meaning without a socket."""
    if timeout is None:
        return deadline
    given = (timeout,) if isinstance(timeout, int | float) else (timeout.total, timeout.sock_read)
    seconds = min((bound for bound in given if bound), default=None)
    if seconds is None or (deadline is not None and deadline.seconds <= seconds):
        return deadline
    return Deadline(seconds, "the caller's `timeout`")


async def _encoded(data: Any, headers: CIMultiDict[str]) -> bytes:
    """Return aiohttp's form of `data` (text, bytes, forms, files, …); its headers are added where there are none."""
    try:
        payload = PAYLOAD_REGISTRY.get(data() if isinstance(data, FormData) else data, disposition=None)
    except LookupError:
        payload = FormData(data)()
    for name, value in (payload.headers or {}).items():
        headers.setdefault(name, value)
    return await payload.as_bytes()


def _scope(method: str, url: str, params: Any, headers: CIMultiDict[str], length: int) -> Scope:
    return {
        **_address(str(URL(url).extend_query(params)) if params else url),
        "method": method.upper(),
        "headers": [
            (b"host", url.partition("://")[2].partition("/")[0].encode()),
            (b"content-length", str(length).encode()),
            *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()),
        ],
        "state": {},
    }


@lru_cache(maxsize=1024)
def _address(url: str) -> Scope:
    parsed = URL(url)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": parsed.scheme,
        "path": unquote(parsed.raw_path),
        "raw_path": parsed.raw_path.encode(),
        "query_string": parsed.raw_query_string.encode(),
        "root_path": "",
        "client": ("127.0.0.1", 0),
        "server": (parsed.host, parsed.port),
    }
