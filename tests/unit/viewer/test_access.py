"""Who may look: whoever has the token, under our own host name; and nothing outside the folder is shown."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from nemo_gym.servers.serving.authentication import TokenAuthMiddleware
from nemo_gym.viewer.library import Library
from nemo_gym.viewer.serving.access import LinkAccess, PageHeaders
from nemo_gym.viewer.serving.app import viewer_app
from tests.made_collections import write_collection

TOKEN = "a-token"
ROUTES = (
    "/",
    "/static/js/main.js",
    "/api/collections",
    "/api/overview?c=rollouts.jsonl",
    "/api/rollouts?c=rollouts.jsonl",
    "/api/tasks?c=rollouts.jsonl",
    "/api/task?c=rollouts.jsonl&t=0",
    "/api/rollout?c=rollouts.jsonl&r=0-0",
    "/api/items?c=rollouts.jsonl&r=0-0",
    "/api/text?c=rollouts.jsonl&r=0-0&item=0&part=0",
    "/api/tokens?c=rollouts.jsonl&r=0-0",
    "/api/raw?c=rollouts.jsonl&r=0-0",
    "/api/copies?c=rollouts.jsonl&r=0-0",
    "/api/neighbors?c=rollouts.jsonl&r=0-0",
    "/api/notes?c=rollouts.jsonl",
    "/api/notes.jsonl?c=rollouts.jsonl",
    "/api/compare?a=rollouts.jsonl&b=rollouts.jsonl",
)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_collection(tmp_path / "data" / "rollouts.jsonl", tasks=3)
    app = viewer_app(Library(tmp_path / "data"), asyncio.Event())
    guarded = PageHeaders(LinkAccess(TokenAuthMiddleware(app, TOKEN, "127.0.0.1"), TOKEN, 8000))
    with TestClient(guarded, base_url="http://127.0.0.1:8000", follow_redirects=False) as found:
        yield found


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_wants_the_token_and_answers_with_the_page_policy(client: TestClient, route: str) -> None:
    refused = client.get(route)
    assert refused.status_code == 401
    answer = client.get(route, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    for one in (refused, answer):
        assert "script-src 'self'" in one.headers["content-security-policy"]
        assert "unsafe" not in one.headers["content-security-policy"]
        assert one.headers["x-content-type-options"] == "nosniff"


def test_the_link_gives_a_cookie_that_scripts_and_other_sites_cannot_use(client: TestClient) -> None:
    entered = client.get(f"/?token={TOKEN}")
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.get("/api/collections").status_code == 200


@pytest.mark.parametrize("link", ["/?token=wrong", "/?token=", "/?token=%C3%A9"])
def test_a_wrong_link_gives_nothing(client: TestClient, link: str) -> None:
    answer = client.get(link)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_another_host_name_is_refused_even_with_the_token(client: TestClient) -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "host": "evil.test:8000"}
    assert client.get("/api/collections", headers=headers).status_code == 421


@pytest.mark.parametrize("name", ["../secret.jsonl", "/etc/passwd", "x/../../secret.jsonl", "secret.jsonl"])
def test_no_name_leads_out_of_the_folder(client: TestClient, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.jsonl").write_bytes((tmp_path / "data" / "rollouts.jsonl").read_bytes())
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = client.get("/api/rollouts", params={"c": name}, headers=headers)
    assert answer.status_code == 404


def test_a_note_that_is_none_is_refused_in_words(client: TestClient) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    note = {"rollout": "99-0", "tags": ["good"]}
    answer = client.post("/api/notes", params={"c": "rollouts.jsonl"}, json=note, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (404, "there is no rollout 99-0")
    note["rollout"] = "../x"
    assert client.post("/api/notes", params={"c": "rollouts.jsonl"}, json=note, headers=headers).status_code == 422
