"""Tests of the stateful counter: the real app, through a test client."""

from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient

from nemo_gym.server_utils import ServerClient
from resources_servers.example_stateful_counter.app import (
    StatefulCounterResourcesServer,
    StatefulCounterResourcesServerConfig,
)

RESPONSE = {"id": "resp_1", "created_at": 0, "model": "m", "object": "response", "output": []}


@pytest.fixture
def client() -> TestClient:
    config = StatefulCounterResourcesServerConfig(host="", port=0, entrypoint="app.py", name="counter")
    server = StatefulCounterResourcesServer(config=config, server_client=MagicMock(spec=ServerClient))
    return TestClient(server.setup_webserver())


def seed(client: TestClient, initial_count: int | None) -> None:
    row = {"responses_create_params": {"input": "Count."}, "expected_count": 0}
    client.post("/seed_session", json=row | ({} if initial_count is None else {"initial_count": initial_count}))


def add(client: TestClient, *counts: int) -> int:
    for count in counts:
        assert client.post("/increment_counter", json={"count": count}).json() == {"success": True}
    return int(client.post("/get_counter_value", json={}).json()["count"])


def reward(client: TestClient, expected_count: int) -> float:
    body = {"responses_create_params": {"input": "Count."}, "expected_count": expected_count, "response": RESPONSE}
    return float(client.post("/verify", json=body).json()["reward"])


@pytest.mark.parametrize(("initial", "counts", "is_then"), [(None, [2], 2), (3, [2], 5), (0, [4, 3], 7), (8, [-5], 3)])
def test_a_counter_begins_where_the_task_says_and_adds_up(
    client: TestClient, initial: int | None, counts: list[int], is_then: int
) -> None:
    seed(client, initial)
    assert add(client, *counts) == is_then
    assert (reward(client, is_then), reward(client, is_then + 1)) == (1.0, 0.0)


def test_two_sessions_have_a_counter_each(client: TestClient) -> None:
    other = TestClient(client.app)
    seed(client, 0)
    seed(other, 0)
    assert (add(client, 2), add(other, 4, 3), add(client)) == (2, 7, 2)


def test_a_count_that_is_no_number_is_refused_and_changes_nothing(client: TestClient) -> None:
    seed(client, 1)
    refused = client.post("/increment_counter", json={"count": "many"})
    assert "count: Input should be a valid integer" in refused.json()["error"]["reason"]
    assert add(client) == 1
