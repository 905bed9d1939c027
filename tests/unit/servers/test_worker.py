"""Which worker a session belongs to, read off its id; and how a request finds it."""

from collections import Counter
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI, Request, Response

from nemo_gym.config.env_names import COLOCATED_SCRIPTS_ENV, WORKER_INDEX_ENV
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http.session_ids import (
    SESSION_ID_HEADER,
    WORKER_URLS_KEY,
    WorkerUrls,
    cookie_name,
    new_session_id,
    owner_of,
    session_id_of,
)
from nemo_gym.servers.sessions.forwarding import forward


@pytest.fixture
def second_worker(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv(WORKER_INDEX_ENV, "1")
    return monkeypatch


def test_a_process_that_is_not_a_worker_has_no_index() -> None:
    assert not new_session_id(is_own=True).startswith("w0-")
    assert len({new_session_id() for _ in range(100)}) == 100


def test_a_worker_owns_the_sessions_it_opens(second_worker: pytest.MonkeyPatch) -> None:
    assert {owner_of(new_session_id(is_own=True), 3) for _ in range(50)} == {1}


def test_a_session_opened_at_another_server_is_spread_over_its_workers(second_worker: pytest.MonkeyPatch) -> None:
    counts = Counter(owner_of(new_session_id(), 3) for _ in range(600))
    assert set(counts) == {0, 1, 2}
    assert min(counts.values()) > 100


def test_where_every_worker_has_all_servers_a_rollout_stays_in_its_worker(second_worker: pytest.MonkeyPatch) -> None:
    second_worker.setenv(COLOCATED_SCRIPTS_ENV, "{}")
    assert {owner_of(new_session_id(), 2) for _ in range(50)} == {1}


def test_an_id_that_names_a_worker_there_is_not_still_has_an_owner() -> None:
    assert owner_of("w7-abcdefghijklmnop", 3) == 1
    assert owner_of("w99999-abcdefghijklmnop", 3) in range(3)


def test_workers_without_a_session_are_asked_in_turn_until_they_are_left_out() -> None:
    urls = WorkerUrls(["a", "b", "c"])
    assert [urls.next_url() for _ in range(4)] == ["a", "b", "c", "a"]
    urls.leave_out("b")
    urls.leave_out("b")
    assert [urls.next_url() for _ in range(3)] == ["c", "a", "c"]
    for url in ("a", "c"):
        urls.leave_out(url)
    assert urls.next_url() is None


def test_the_session_of_a_request_is_read_from_its_cookie_before_its_header() -> None:
    cookies = SimpleCookie({cookie_name("Quiz", "quiz"): "from-cookie.signature", "Other___other": "no.no"})
    headers = {SESSION_ID_HEADER: "from-header"}
    assert session_id_of("quiz", headers, cookies) == "from-cookie"
    assert session_id_of("quiz", headers, {cookie_name("Quiz", "quiz"): "as-text.signature"}) == "as-text"
    assert session_id_of("unrelated", headers, cookies) == "from-header"
    assert session_id_of("unrelated", {}, {}) is None


def worker_app(name: str) -> FastAPI:
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def see(path: str, request: Request) -> Any:
        seen = {"name": name, "path": request.scope["raw_path"].decode(), "query": request.url.query}
        seen["body"] = (await request.body()).decode()
        answer = Response(status_code=307 if path == "moved" else 201, headers={"location": "/elsewhere"})
        answer.body = orjson.dumps(seen)
        answer.headers["content-length"] = str(len(answer.body))
        answer.headers.append("set-cookie", "a=1")
        answer.headers.append("set-cookie", "b=2")
        return answer

    return app


async def test_a_request_that_is_passed_on_comes_back_as_it_was_answered(serve_app: Callable[..., int]) -> None:
    owner = f"http://127.0.0.1:{serve_app(worker_app('owner'))}"

    async def other(scope: Any, receive: Any, send: Any) -> None:
        await forward(owner, scope, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://public") as caller:
        answer = await caller.post("/a%2Fb", params={"q": "ü"}, content=b"body")
        moved = await caller.get("/moved")
    assert answer.status_code == 201
    assert answer.json() == {"name": "owner", "path": "/a%2Fb", "query": "q=%C3%BC", "body": "body"}
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert (moved.status_code, moved.headers["location"]) == (307, "/elsewhere")


async def test_a_client_calls_the_worker_that_owns_the_session_and_the_others_in_turn(
    serve_app: Callable[..., int], client_for: Callable[..., ServerClient]
) -> None:
    ports = [serve_app(worker_app(f"worker {index}")) for index in range(2)]
    client = client_for(quiz=1)
    block = client.global_config_dict["quiz"]["resources_servers"]["implementation"]
    block[WORKER_URLS_KEY] = [f"http://127.0.0.1:{port}" for port in ports]

    async def asked(**options: Any) -> str:
        return str((await (await client.get("quiz", "/x", **options)).json())["name"])

    assert [await asked() for _ in range(4)] == ["worker 0", "worker 1"] * 2
    for index in range(2):
        headers = {SESSION_ID_HEADER: f"w{index}-0123456789abcdef"}
        assert {await asked(headers=headers) for _ in range(3)} == {f"worker {index}"}
