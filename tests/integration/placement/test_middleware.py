"""What an author adds to the app holds for every call, in memory too."""

import json
from typing import Any

import pytest

from nemo_gym.server_utils import ServerClient

pytestmark = pytest.mark.integration


async def ask(client: ServerClient, name: str) -> dict[str, Any]:
    response = await client.post("judge", f"/calls/{name}")
    answer: dict[str, Any] = await response.json()
    assert response.ok, answer
    return answer


async def test_middleware_of_the_author_sees_every_call(client: ServerClient) -> None:
    first, second = [(await ask(client, "health"))["headers"] for _ in range(2)]
    assert first["x-stamp"] == second["x-stamp"] == "/health"
    assert "x-counted" in first
    tool = await client.post("placed", "/where", json={})
    assert (tool.status, tool.headers["x-stamp"]) == (409, "/where")


async def test_middleware_of_the_author_can_answer_by_itself(client: ServerClient) -> None:
    answer = await ask(client, "stopped")
    assert (answer["status"], json.loads(answer["text"])) == (418, {"stopped": True})


async def test_an_exception_handler_of_the_author_answers_for_plain_routes(client: ServerClient) -> None:
    answer = await ask(client, "brew")
    assert (answer["status"], json.loads(answer["text"])) == (418, {"teapot": "earl_grey"})


async def test_an_exception_of_a_plain_route_is_a_500_and_not_the_callers(client: ServerClient) -> None:
    answer = await ask(client, "explode")
    assert (answer["status"], json.loads(answer["text"])["error"]["kind"]) == (500, "tool_error")


async def test_a_missing_route_is_404_and_a_wrong_method_405(client: ServerClient) -> None:
    assert (await ask(client, "unknown"))["status"] == 404
    assert (await ask(client, "wrong_method"))["status"] == 405
