"""The token goes to servers of the run, and nowhere else: no other origin, no proxy, no plain request."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI
from omegaconf import DictConfig
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.server_utils import ServerClient, request
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.http.head_lookup import get_json
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.record import RunRecord
from nemo_gym.servers.serving.authentication import TokenAuthMiddleware

TOKEN = "a-token-of-a-run"
Headers = dict[str, str]


@dataclass
class Listener:
    """A plain server that remembers what it was sent; `/away` and `/home` lead elsewhere and back to it."""

    port: int = 0
    elsewhere: str = ""
    got: list[tuple[str, Headers]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tokens(self, path: str) -> list[bool]:
        """Tell for each request to a path whether the token was in it."""
        return [any(TOKEN in value for value in headers.values()) for at, headers in self.got if at == path]


@pytest.fixture
def listeners() -> Iterator[tuple[Listener, Listener]]:
    """One that belongs to the run, and one that doesn't."""
    servers, found = [], (Listener(), Listener())
    for listener in found:
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), _handler(listener)))
        listener.port = servers[-1].server_address[1]
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
    found[0].elsewhere = found[1].url
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


def _handler(listener: Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            listener.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.rfile.read(int(self.headers.get("content-length") or 0))
            target = {"/away": f"{listener.elsewhere}/caught", "/home": "/back"}.get(self.path)
            self.send_response(307 if target else 200)
            if target:
                self.send_header("location", target)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def client_of(listener: Listener) -> ServerClient:
    block = {"resources_servers": {"impl": {"host": "127.0.0.1", "port": listener.port}}}
    return ServerClient(BaseServerConfig(host="127.0.0.1", port=1), DictConfig({"mine": block}), RunAccess(TOKEN))


CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "own-authorization": {"headers": {"Authorization": "Basic bWU6cGFzcw=="}},
    "own-auth": {"auth": aiohttp.BasicAuth.decode("Basic bWU6cGFzcw==")},
    "other-headers": {"headers": {"x-asked": "1"}, "json": {"a": 1}},
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_redirect_is_handed_to_the_caller_and_the_token_goes_nowhere_else(
    listeners: tuple[Listener, Listener], name: str
) -> None:
    mine, stranger = listeners
    client = client_of(mine)
    for path in ("/home", "/away"):
        assert (await client.post("mine", path, **CALLS[name])).status == 307
        assert (await client.post("mine", path, allow_redirects=True, **CALLS[name])).status == 307
    await close_global_aiohttp_client()
    assert (mine.tokens("/home"), mine.tokens("/back"), mine.tokens("/away")) == ([True] * 2, [], [True] * 2)
    assert stranger.got == []


@pytest.mark.parametrize("name", CALLS)
async def test_a_redirect_of_a_server_in_memory_does_the_same(listeners: tuple[Listener, Listener], name: str) -> None:
    mine, stranger = listeners
    app, seen = FastAPI(), []

    @app.post("/{where}")
    async def lead(where: str, request: Request) -> RedirectResponse:
        seen.append(dict(request.headers))
        return RedirectResponse(f"{stranger.url}/caught" if where == "away" else "/back", 307)

    client = client_of(mine)
    client.use_local_apps({"mine": app})
    for path in ("/home", "/away"):
        answer = await client.post("mine", path, cookies={"session": "signed"}, **CALLS[name])
        assert answer.status == 307
    await close_global_aiohttp_client()
    assert not any(TOKEN in value for headers in seen for value in headers.values())
    assert (mine.got, stranger.got) == ([], [])


async def test_a_plain_request_has_no_token(
    listeners: tuple[Listener, Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEMO_GYM_RUN_TOKEN", TOKEN)
    mine, _ = listeners
    await request("POST", f"{mine.url}/v1/responses", json={})
    await close_global_aiohttp_client()
    assert mine.tokens("/v1/responses") == [False]


def test_a_look_up_takes_the_token_neither_along_a_redirect_nor_to_a_proxy(
    listeners: tuple[Listener, Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, stranger = listeners
    monkeypatch.setenv("http_proxy", stranger.url)
    monkeypatch.delenv("no_proxy", raising=False)
    assert get_json(f"{mine.url}/away", RunAccess(TOKEN), 5.0) == {}
    assert (mine.tokens("/away"), stranger.tokens("/caught")) == ([True], [False])
    assert len(stranger.got) == 1


def record(head_host: str, bind_host: str) -> RunRecord:
    return RunRecord("r", 1, 0.0, head_host, 11000, "/", 0.0, (), 5.0, True, bind_host)


@pytest.mark.parametrize(
    ("head_host", "bind_host", "asked", "is_its"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", "localhost", True),
        ("127.0.0.1", "127.0.0.1", "gym.example", False),
        ("127.0.0.1", "127.0.0.1", "10.0.0.9", False),
        ("gym.example", "0.0.0.0", "127.0.0.1", True),
        ("gym.example", "0.0.0.0", "gym.example", True),
        ("gym.example", "10.0.0.9", "127.0.0.1", False),
        ("127.0.0.1", "", "localhost", True),
    ],
)
def test_the_token_of_a_run_here_is_not_for_a_head_elsewhere(
    head_host: str, bind_host: str, asked: str, is_its: bool
) -> None:
    assert record(head_host, bind_host).has_head_at(asked, 11000) is is_its
    assert record(head_host, bind_host).has_head_at(asked, 11001) is False


async def test_an_app_does_not_see_the_token_that_its_middleware_checked() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        shown = {name.decode(): value.decode() for name, value in scope["headers"]}
        await JSONResponse(shown)(scope, receive, send)

    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    headers = [(b"x-a", b"1"), (b"authorization", f"Bearer {TOKEN}".encode()), (b"host", b"localhost")]
    scope = {"type": "http", "path": "/x", "method": "GET", "headers": headers}
    await TokenAuthMiddleware(app, TOKEN, "localhost")(scope, None, send)  # type: ignore[arg-type]
    assert answers[1]["body"] == b'{"x-a":"1","host":"localhost"}'
