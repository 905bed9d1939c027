"""Tests of room booking: the real app, through a test client."""

from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient

from nemo_gym.server_utils import ServerClient
from resources_servers.example_room_booking.app import RoomBookingConfig, RoomBookingServer

TASK = {"responses_create_params": {"input": "Book Oslo and Rome."}, "expected_rooms": ["Oslo", "Rome"]}
RESPONSE = {"id": "resp_1", "created_at": 0, "model": "m", "object": "response", "output": []}


@pytest.fixture
def client() -> TestClient:
    config = RoomBookingConfig(host="", port=0, entrypoint="app.py", name="rooms", max_bookings=3)
    server = RoomBookingServer(config=config, server_client=MagicMock(spec=ServerClient))
    return TestClient(server.setup_webserver())


def reward_after(client: TestClient, *calls: tuple[str, str]) -> float:
    client.post("/seed_session", json=TASK)
    for tool, room in calls:
        client.post(f"/{tool}", json={"room": room})
    return float(client.post("/verify", json={**TASK, "response": RESPONSE}).json()["reward"])


def test_exactly_the_expected_rooms_in_any_order_are_rewarded(client: TestClient) -> None:
    assert reward_after(client, ("book_room", "Rome"), ("book_room", "Oslo")) == 1.0


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([("book_room", "Oslo")], id="one-missing"),
        pytest.param([("book_room", r) for r in ("Oslo", "Rome", "Lima")], id="one-too-many"),
        pytest.param([("book_room", "Oslo"), ("book_room", "Rome"), ("cancel_room", "Rome")], id="one-cancelled"),
    ],
)
def test_any_other_set_of_rooms_is_not_rewarded(client: TestClient, calls: list[tuple[str, str]]) -> None:
    assert reward_after(client, *calls) == 0.0


def test_book_room_past_the_limit_is_refused_in_words(client: TestClient) -> None:
    client.post("/seed_session", json=TASK)
    for room in ("A", "B", "C"):
        client.post("/book_room", json={"room": room})
    assert "limit of 3 bookings" in client.post("/book_room", json={"room": "D"}).json()["detail"]


def test_two_sessions_do_not_see_each_others_rooms(client: TestClient) -> None:
    other = TestClient(client.app)
    client.post("/seed_session", json=TASK)
    other.post("/seed_session", json=TASK)
    client.post("/book_room", json={"room": "Oslo"})
    other_rooms = other.post("/verify", json={**TASK, "response": RESPONSE}).json()["booked_rooms"]
    assert other_rooms == []
