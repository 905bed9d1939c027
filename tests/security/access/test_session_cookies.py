"""A session cookie that is forged, altered, foreign or expired never gets a fresh session in exchange."""

import time
from pathlib import Path

import httpx
import pytest
from itsdangerous import Signer

from nemo_gym.servers.sessions.cookie import derived_key
from tests.security.access.conftest import IDLE_LIMIT_S, LockedRun

pytestmark = pytest.mark.integration
NAME = "RoomBookingServer___example_room_booking"
ROOM = {"room": "Lovelace"}
TRIES = 5


def seeded(run: LockedRun) -> str:
    answer = httpx.post(f"{run.url('example_room_booking')}/seed_session", json={}, headers=run.bearer)
    assert answer.status_code == 200, answer.text
    return answer.cookies[NAME]


def book(run: LockedRun, value: str, path: str = "/book_room") -> tuple[int, str | None]:
    """Return status and failure kind of a call with this cookie."""
    headers = {**run.bearer, "cookie": f"{NAME}={value}"}
    answer = httpx.post(f"{run.url('example_room_booking')}{path}", json=ROOM, headers=headers)
    assert answer.cookies.get(NAME) in (None, value)  # of a session that is known, the same again
    return answer.status_code, None if answer.is_success else answer.json()["error"]["kind"]


def test_a_cookie_as_it_was_given_is_taken(run: LockedRun) -> None:
    assert book(run, seeded(run)) == (200, None)


@pytest.mark.parametrize("path", ["/book_room", "/verify", "/seed_session", "/close_session"])
def test_an_altered_or_forged_cookie_is_a_lost_session(run: LockedRun, path: str) -> None:
    value = seeded(run)
    session_id, _, signature = value.rpartition(".")
    other_key = derived_key("another secret", NAME)
    altered = [
        f"{session_id[:-1]}{'A' if session_id[-1] != 'A' else 'B'}.{signature}",
        f"{session_id}.{signature[:-2]}AA",
        session_id,
        f"{session_id}.",
        "",
        "x",
        Signer(other_key, key_derivation="none").sign(session_id).decode(),
        Signer(run.token, key_derivation="none").sign(session_id).decode(),
        Signer(derived_key(run.token, NAME), key_derivation="none").sign(session_id).decode(),
    ]
    for forged in altered:
        assert book(run, forged, path) == (409, "session_lost"), forged


def test_an_expired_session_says_so_and_is_not_begun_anew(run: LockedRun) -> None:
    value = seeded(run)
    for _ in range(TRIES):  # a server too busy to sweep in time takes the booking, and the idle time begins anew
        time.sleep(2 * IDLE_LIMIT_S)
        if (answer := book(run, value))[0] == 409:
            break
    assert answer == (409, "session_expired")


def test_the_cookie_of_another_server_is_refused(run: LockedRun) -> None:
    headers = {**run.bearer, "cookie": f"ScriptedModel___policy_model={seeded(run)}"}
    answer = httpx.post(f"{run.url('policy_model')}/v1/responses", json={"input": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (409, "session_lost")


def test_the_cookie_of_another_run_is_refused(run: LockedRun, open_run: LockedRun) -> None:
    assert book(open_run, seeded(run)) == (409, "session_lost")
    assert book(run, seeded(open_run)) == (409, "session_lost")


# With +auth=none: here, where that run is up already.


def test_a_run_without_a_token_says_so_and_answers_everyone_on_this_machine(open_run: LockedRun) -> None:
    assert "auth=none: anyone who can reach these ports may call" in (open_run.folder / "run.log").read_text()
    assert list(open_run.run_directory.glob("token")) == []
    for server in ("head", "policy_model", "example_room_booking"):
        assert httpx.get(f"{open_run.url(server)}/docs").status_code == 200
        assert httpx.get(f"{open_run.url(server)}/docs", headers={"host": "rebound.example"}).status_code == 421


def test_a_token_in_the_environment_of_an_open_run_is_not_passed_on(open_run: LockedRun) -> None:
    for state in open_run.servers.values():
        environment = Path(f"/proc/{state['pid']}/environ").read_bytes()
        assert b"NEMO_GYM_RUN_SECRET=" in environment
        assert b"NEMO_GYM_RUN_TOKEN" not in environment
