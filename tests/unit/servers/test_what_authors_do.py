"""What an author may do, or forget, without a rollout being scored wrongly or the server going down."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, ClassVar
from unittest.mock import MagicMock

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.responses import JSONResponse, PlainTextResponse

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseSeedSessionRequest,
    BaseSeedSessionResponse,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
    ToolError,
)
from nemo_gym.server_utils import SESSION_ID_KEY, ServerClient, request
from nemo_gym.servers.serving import handler as handler_module

RESPONSE = {"id": "r", "created_at": 1, "model": "m", "output": []}
ROW: dict[str, Any] = {"responses_create_params": {"input": "hi"}}


class Rooms(BaseModel):
    room: str = "a"


class Environment(SimpleResourcesServer):
    """Keeps the rooms of a session; its tools stand on an included router."""

    session_state = list

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        router = APIRouter(prefix="/rooms")
        router.post("/book")(self.book)
        router.post("/hang")(self.hang)
        app.include_router(router)
        app.include_router(self.more_routes())
        return app

    def more_routes(self) -> APIRouter:
        router = APIRouter()
        router.post("/break", dependencies=[Depends(lambda: None)])(self.break_down)
        return router

    async def book(self, request: Request, body: Rooms) -> dict[str, int]:
        self.state(request).append(body.room)
        return {"rooms": len(self.state(request))}

    async def hang(self, request: Request) -> None:
        await asyncio.sleep(3600)

    async def break_down(self, request: Request) -> None:
        raise RuntimeError("broken")

    async def verify(self, request: Request, body: BaseVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        return BaseVerifyResponse(**body.model_dump(), reward=float(len(self.state(request))))


def make(server_class: type[SimpleResourcesServer] = Environment, **settings: Any) -> SimpleResourcesServer:
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="env", **settings)
    return server_class(config=config, server_client=MagicMock(spec=ServerClient))


def client_of(server: SimpleResourcesServer) -> TestClient:
    return TestClient(server.setup_webserver(), raise_server_exceptions=False)


def kind(response: Any) -> str:
    return str(response.json()["error"]["kind"])


def test_a_tool_on_an_included_router_is_inside_its_session() -> None:
    client = client_of(make())
    assert kind(client.post("/rooms/book", json={})) == "session_lost"
    client.post("/seed_session", json=ROW)
    assert client.post("/rooms/book", json={}).json() == {"rooms": 1}
    assert client.post("/verify", json=ROW | {"response": RESPONSE}).json()["reward"] == 1.0


def test_a_tool_on_an_included_router_has_a_deadline_and_the_envelope() -> None:
    client = client_of(make(tool_timeout_s=0.05))
    client.post("/seed_session", json=ROW)
    assert kind(client.post("/rooms/hang", json={})) == "tool_timeout"
    broken = client.post("/break", json={})
    assert (broken.status_code, kind(broken), broken.json()["error"]["stage"]) == (500, "tool_error", "agent")
    assert kind(client.post("/rooms/book", content=b"{")) == "input_invalid"


def test_a_route_that_does_not_exist_is_404_with_or_without_a_session() -> None:
    assert client_of(make()).post("/no_such_tool", json={}).status_code == 404


class Forgetful(Environment):
    """Overrides every hook without calling the one it overrides."""

    events: list[str] = []

    def model_post_init(self, context: Any, /) -> None:
        self.events.append("made")

    async def startup(self) -> None:
        self.events.append("started")

    async def shutdown(self) -> None:
        self.events.append("stopped")

    async def close_session(self, session_id: str, state: Any) -> None:
        self.events.append("closed")


def test_hooks_that_do_not_call_the_ones_they_override_break_neither_expiry_nor_clean_up() -> None:
    server = make(Forgetful, session_idle_limit_s=0.02)
    with client_of(server) as client:
        client.post("/seed_session", json=ROW)
        for _ in range(200):
            if "closed" in server.events:  # type: ignore[attr-defined]
                break
            client.get("/health")
            threading.Event().wait(0.01)
        client.cookies.clear()
        client.post("/seed_session", json=ROW)
    assert server.events[:2] == ["made", "started"]  # type: ignore[attr-defined]
    assert server.events.count("closed") == 2  # type: ignore[attr-defined]
    assert server.events[-2:] == ["stopped", "closed"]  # type: ignore[attr-defined]


class Refusing(SimpleResourcesServer):
    raised: ClassVar[Callable[[], BaseException]] = lambda: ToolError("no")

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/tool")(self.tool)
        app.post("/blocking")(self.blocking)
        return app

    async def tool(self) -> None:
        raise type(self).raised()

    def blocking(self) -> None:
        raise type(self).raised()

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        raise type(self).raised()


@pytest.mark.parametrize("path", ["/tool", "/blocking"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(SystemExit(3), "tool_error", id="exit"),
        pytest.param(KeyboardInterrupt(), "tool_error", id="interrupt"),
        pytest.param(asyncio.CancelledError(), "tool_error", id="cancelled"),
        pytest.param(StopIteration(), "tool_error", id="stop-iteration"),
        pytest.param(HTTPException(409, "room taken"), "input_invalid", id="clash"),
        pytest.param(HTTPException(400, detail=[{"odd": 1}, "text"]), "input_invalid", id="detail-list"),  # type: ignore[arg-type]
    ],
)
def test_whatever_a_tool_raises_is_its_own_error_and_the_server_goes_on(
    path: str, error: BaseException, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refusing, "raised", lambda: error)
    client = client_of(make(Refusing))
    assert kind(client.post(path, json={})) == expected
    assert client.get("/health").status_code == 200


def test_an_exception_handler_of_the_author_answers_for_tools() -> None:
    class Teapot(Exception):
        pass

    class Honoured(Refusing):
        raised: ClassVar[Any] = Teapot

    server = make(Honoured)
    app = server.setup_webserver()

    @app.exception_handler(Teapot)
    async def brew(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"tea": True}, 418)

    for path in ("/tool", "/blocking"):
        response = TestClient(app).post(path, json={})
        assert (response.status_code, response.json()) == (418, {"tea": True})


def test_an_unforeseen_exception_reaches_the_authors_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Refusing, "raised", lambda: LookupError("what is wrong"))
    client = TestClient(make(Refusing).setup_webserver())
    with pytest.raises(LookupError, match="what is wrong"):
        client.post("/tool", json={})


@pytest.mark.parametrize("has_own_handler", [False, True])
async def test_a_plain_route_that_raises_costs_its_caller_no_later_call(
    serve_app: Callable[[FastAPI], int], *, has_own_handler: bool
) -> None:
    app = make().setup_webserver()
    if has_own_handler:
        app.add_exception_handler(Exception, lambda request, error: PlainTextResponse("sorry", 500))

    @app.get("/explode")
    async def explode() -> None:
        raise ValueError("unforeseen")

    url = f"http://127.0.0.1:{serve_app(app)}"
    for _ in range(20):
        assert (await request("GET", f"{url}/explode")).status == 500
        # Not sent again when its connection is lost, since the server might have worked on it.
        assert (await request("POST", f"{url}/no_such_route", json={})).status == 404


def test_a_verifier_that_raises_says_what_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Refusing, "raised", lambda: LookupError("no answer in the row"))
    error = client_of(make(Refusing)).post("/verify", json=ROW | {"response": RESPONSE}).json()["error"]
    assert error["kind"] == "verifier_error"
    assert "LookupError" in error["reason"]
    assert "no answer in the row" in error["reason"]
    assert "test_what_authors_do.py:" in error["reason"]


class Counter(SimpleResourcesServer):
    """The style with a dictionary of one's own: a session nobody seeded begins at 0."""

    counts: dict[str, int] = {}

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/add")(self.add)
        return app

    async def seed_session(self, request: Request, body: BaseSeedSessionRequest) -> BaseSeedSessionResponse:  # type: ignore[override]
        self.counts[request.session[SESSION_ID_KEY]] = 10
        return BaseSeedSessionResponse()

    async def add(self, request: Request) -> dict[str, int]:
        session_id = request.session[SESSION_ID_KEY]
        self.counts[session_id] = self.counts.get(session_id, 0) + 1
        return {"count": self.counts[session_id]}

    async def verify(self, request: Request, body: BaseVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        return BaseVerifyResponse(**body.model_dump(), reward=float(self.counts[request.session[SESSION_ID_KEY]]))


def test_a_server_with_a_dictionary_of_its_own_decides_about_calls_without_a_seed() -> None:
    client = client_of(make(Counter))
    assert [client.post("/add", json={}).json()["count"] for _ in range(2)] == [1, 2]
    client.cookies.clear()
    client.post("/seed_session", json=ROW)
    assert client.post("/add", json={}).json() == {"count": 11}
    client.post("/close_session")
    assert kind(client.post("/add", json={})) == "session_lost"


def test_every_response_of_a_known_session_has_its_cookie() -> None:
    client = client_of(make(Counter))
    seeded = client.post("/seed_session", json=ROW).cookies["Counter___env"]
    for path, body in (("/add", {}), ("/verify", ROW | {"response": RESPONSE}), ("/add", {})):
        response = client.post(path, json=body)
        assert response.cookies["Counter___env"] == seeded


def test_a_closed_session_waits_for_the_call_inside_it() -> None:
    events: list[str] = []

    class Slow(Environment):
        async def hang(self, request: Request) -> None:
            events.append("begun")
            await asyncio.sleep(0.2)
            events.append("ended")

        async def close_session(self, session_id: str, state: Any) -> None:
            events.append("cleaned")

    with client_of(make(Slow)) as client:
        client.post("/seed_session", json=ROW)
        calling = threading.Thread(target=lambda: client.post("/rooms/hang", json={}))
        calling.start()
        while "begun" not in events:
            threading.Event().wait(0.005)
        client.post("/close_session")
        calling.join()
    assert events == ["begun", "ended", "cleaned"]


def test_blocking_handlers_that_outlive_their_deadline_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler_module, "MAX_THREADS", 3)
    release = threading.Event()
    begun: list[int] = []

    class Blocking(Refusing):
        def blocking(self) -> None:
            begun.append(1)
            release.wait(30)

    with client_of(make(Blocking, tool_timeout_s=0.05)) as client:
        kinds = {kind(client.post("/blocking", json={})) for _ in range(8)}
        assert (kinds, len(begun)) == ({"tool_timeout"}, 3)
        release.set()
        for _ in range(100):
            if client.post("/blocking", json={}).status_code == 200:
                return
    pytest.fail("the places were never given back")


def test_a_tool_that_closes_the_output_of_its_process_is_a_tool_error_like_any_other() -> None:
    code = f"""
import os, sys
sys.path.insert(0, {os.getcwd()!r})
from tests.unit.servers.test_what_authors_do import *
class Closing(Refusing):
    async def tool(self):
        sys.stdout.close(); sys.stderr.close()
        raise RuntimeError("after that")
client = client_of(make(Closing))
kinds = [kind(client.post("/tool", json={{}})) for _ in range(2)]
os._exit(0 if kinds == ["tool_error"] * 2 else 1)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
