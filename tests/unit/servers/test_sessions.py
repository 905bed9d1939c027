"""Sessions as callers and authors of servers see them."""

import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseSeedSessionRequest,
    BaseSeedSessionResponse,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.server_utils import SESSION_ID_HEADER, SESSION_ID_KEY, SESSION_KEPT_HEADER, ServerClient, new_session_id
from tests.bounds import HANGS_AFTER_S

ROW = {"responses_create_params": {"input": "hi"}}
RESPONSE = {"id": "r", "created_at": 1, "model": "m", "output": []}


class Nothing(BaseModel):
    pass


class CountingServer(SimpleResourcesServer):
    """Keeps a list for each session; writes down what it cleaned up."""

    session_state = list
    config: BaseResourcesServerConfig
    cleaned: list[Any] = Field(default_factory=list)

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/add")(self.add)
        return app

    async def add(self, request: Request, body: Nothing) -> int:
        self.state(request).append("x")
        return len(self.state(request))

    async def verify(self, request: Request, body: BaseVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        return BaseVerifyResponse(**body.model_dump(), reward=float(len(self.state(request))))

    async def close_session(self, session_id: str, state: Any) -> None:
        self.cleaned.append(list(state))


class EchoServer(SimpleResourcesServer):
    """Keeps nothing."""

    config: BaseResourcesServerConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/who")(self.who)
        return app

    async def who(self, request: Request, body: Nothing) -> str:
        return str(request.session[SESSION_ID_KEY])

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        return BaseVerifyResponse(**body.model_dump(), reward=1.0)


def make(server_class: type[SimpleResourcesServer], **settings: Any) -> Any:
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="env", **settings)
    return server_class(config=config, server_client=MagicMock(spec=ServerClient))


@pytest.fixture
def counting() -> CountingServer:
    """A server with sessions."""
    server: CountingServer = make(CountingServer)
    return server


@pytest.fixture
def client(counting: CountingServer) -> Iterator[TestClient]:
    with TestClient(counting.setup_webserver()) as client:
        yield client


def test_a_handler_has_a_session_id_without_any_cookie() -> None:
    client = TestClient(make(EchoServer).setup_webserver())
    first = client.post("/who", json={}).json()
    assert len(first) >= 20
    assert client.post("/who", json={}).json() == first
    client.cookies.clear()
    assert client.post("/who", json={}).json() != first


def test_the_cookie_is_named_after_class_and_instance() -> None:
    answer = TestClient(make(EchoServer).setup_webserver()).post("/who", json={})
    assert list(answer.cookies) == ["EchoServer___env"]


def test_a_server_that_keeps_nothing_answers_without_a_session() -> None:
    client = TestClient(make(EchoServer).setup_webserver())
    assert client.post("/verify", json=ROW | {"response": RESPONSE}).json()["reward"] == 1.0
    assert client.post("/seed_session", json=ROW).headers[SESSION_KEPT_HEADER] == "0"


def test_state_is_kept_from_seed_to_verify(client: TestClient) -> None:
    assert client.post("/seed_session", json=ROW).headers[SESSION_KEPT_HEADER] == "1"
    assert [client.post("/add", json={}).json() for _ in range(2)] == [1, 2]
    assert client.post("/verify", json=ROW | {"response": RESPONSE}).json()["reward"] == 2.0


@pytest.mark.parametrize("path", ["/add", "/verify"])
def test_a_call_without_a_seeded_session_is_409_and_opens_none(client: TestClient, path: str) -> None:
    answer = client.post(path, json=ROW | {"response": RESPONSE})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (409, "session_lost")


def test_the_caller_may_choose_the_id_of_the_session_it_seeds(client: TestClient) -> None:
    headers = {SESSION_ID_HEADER: new_session_id()}
    first = client.post("/seed_session", json=ROW, headers=headers)
    client.cookies.clear()  # the answer was lost: the agent knows the id and nothing else
    again = client.post("/seed_session", json=ROW, headers=headers)
    assert (first.json(), first.cookies) == (again.json(), again.cookies)
    client.cookies.clear()
    other = client.post("/seed_session", json=ROW | {"more": 1}, headers=headers)
    assert (other.status_code, other.json()["error"]["kind"]) == (409, "session_lost")


def test_a_session_can_be_closed_by_its_id_alone(client: TestClient, counting: CountingServer) -> None:
    headers = {SESSION_ID_HEADER: new_session_id()}
    client.post("/seed_session", json=ROW, headers=headers)
    client.cookies.clear()
    assert client.post("/close_session", headers=headers).json() == {"closed": True}
    assert counting.cleaned == [[]]


@pytest.mark.parametrize("short_id", ["short", "with space 0123456789", "x" * 200])
def test_an_id_that_could_be_guessed_or_is_malformed_is_replaced(short_id: str) -> None:
    client = TestClient(make(EchoServer).setup_webserver())
    assert client.post("/who", json={}, headers={SESSION_ID_HEADER: short_id}).json() != short_id


@pytest.mark.parametrize("forged", ["x", "abc.def", "", '"quoted.value"', "é.ü"])
def test_a_forged_cookie_is_refused_and_never_a_fresh_session(client: TestClient, forged: str) -> None:
    header = f"CountingServer___env={forged}".encode()
    answer = client.post("/add", json={}, headers=[(b"cookie", header)])
    assert (answer.status_code, answer.json()["error"]["kind"]) == (409, "session_lost")


def test_a_cookie_of_another_server_is_refused(client: TestClient) -> None:
    cookie = TestClient(make(EchoServer).setup_webserver()).post("/who", json={}).cookies["EchoServer___env"]
    client.cookies.set("CountingServer___env", cookie)
    assert client.post("/add", json={}).status_code == 409


def test_a_session_is_cleaned_up_once_however_often_it_is_closed(client: TestClient, counting: CountingServer) -> None:
    client.post("/seed_session", json=ROW)
    client.post("/add", json={})
    assert [client.post("/close_session").json()["closed"] for _ in range(2)] == [True, False]
    assert counting.cleaned == [["x"]]
    assert client.post("/add", json={}).status_code == 409


def test_an_idle_session_expires_and_is_cleaned_up_once() -> None:
    server = make(CountingServer, session_idle_limit_s=0.1)
    with TestClient(server.setup_webserver()) as client:
        client.post("/seed_session", json=ROW)
        give_up_at = time.monotonic() + HANGS_AFTER_S
        while not server.cleaned and time.monotonic() < give_up_at:
            time.sleep(0.01)
        answer = client.post("/add", json={})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (409, "session_expired")
    assert server.cleaned == [[]]


def test_open_sessions_are_cleaned_up_when_the_server_stops(counting: CountingServer) -> None:
    with TestClient(counting.setup_webserver()) as client:
        client.post("/seed_session", json=ROW)
        assert counting.cleaned == []
    assert counting.cleaned == [[]]


class RoomBookingConfig(BaseResourcesServerConfig):
    max_bookings: int = Field(default=8, ge=1)


class BookRoomRequest(BaseModel):
    room: str


class BookRoomResponse(BaseModel):
    message: str


class RoomBookingVerifyRequest(BaseVerifyRequest):
    expected_rooms: list[str]


class RoomBookingServer(SimpleResourcesServer):
    """The style guide's example of a server, which keeps its own dictionary of sessions."""

    config: RoomBookingConfig
    rooms_by_session: dict[str, list[str]] = Field(default_factory=dict)

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/book_room")(self.book_room)
        return app

    async def seed_session(  # type: ignore[override]
        self, request: Request, body: BaseSeedSessionRequest
    ) -> BaseSeedSessionResponse:
        self.rooms_by_session[request.session[SESSION_ID_KEY]] = []
        return BaseSeedSessionResponse()

    async def book_room(self, request: Request, body: BookRoomRequest) -> BookRoomResponse:
        rooms = self._rooms(request)
        if len(rooms) >= self.config.max_bookings:
            return BookRoomResponse(message=f"Refused: limit of {self.config.max_bookings} bookings reached.")
        rooms.append(body.room)
        return BookRoomResponse(message=f"Booked {body.room}.")

    async def verify(self, request: Request, body: RoomBookingVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        rooms = self._rooms(request)
        del self.rooms_by_session[request.session[SESSION_ID_KEY]]
        return BaseVerifyResponse(**body.model_dump(), reward=float(sorted(rooms) == sorted(body.expected_rooms)))

    def _rooms(self, request: Request) -> list[str]:
        try:
            return self.rooms_by_session[request.session[SESSION_ID_KEY]]
        except KeyError:
            raise HTTPException(409, "unknown session: not seeded here, or already verified") from None


@pytest.fixture
def booking() -> TestClient:
    """A client of the room-booking server."""
    config = RoomBookingConfig(host="", port=0, entrypoint="", name="rooms", max_bookings=2)
    server = RoomBookingServer(config=config, server_client=MagicMock(spec=ServerClient))
    return TestClient(server.setup_webserver())


def test_the_room_booking_server_scores_what_was_booked_in_its_session(booking: TestClient) -> None:
    row = ROW | {"expected_rooms": ["b", "a"]}
    booking.post("/seed_session", json=row)
    messages = [booking.post("/book_room", json={"room": room}).json()["message"] for room in "abc"]
    assert messages == ["Booked a.", "Booked b.", "Refused: limit of 2 bookings reached."]
    assert booking.post("/verify", json=row | {"response": RESPONSE}).json()["reward"] == 1.0
    again = booking.post("/verify", json=row | {"response": RESPONSE})
    assert (again.status_code, again.json()["error"]["kind"]) == (409, "verifier_error")


def test_the_room_booking_server_refuses_a_session_it_never_seeded(booking: TestClient) -> None:
    assert booking.post("/book_room", json={"room": "a"}).status_code == 409
