"""What an environment in the short style says next, and what it sees of the dialogue."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from nemo_gym.environments import Environment, Rollout, tool
from nemo_gym.servers.http.session_ids import TAKES_TURNS_HEADER
from tests.unit.environments.conftest import message, verify_request

Serve = Callable[..., TestClient]
USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And Rome?"}]}


class Echo(Environment):
    def next_turn(self, rollout: Rollout, says: Any = None) -> Any:
        return rollout.replayed_reply or says

    def reward(self, rollout: Rollout) -> float:
        return float(rollout.turns)


@pytest.fixture
def client(serve: Serve) -> TestClient:
    return serve(Echo)


def test_a_text_is_the_users_message_and_nothing_ends_the_episode(client: TestClient) -> None:
    said = client.post("/next_turn", json=verify_request(message("Hi"), says="And now?")).json()
    assert said == {"message": {"type": "message", "role": "user", "content": "And now?"}, "usage": None}
    assert client.post("/next_turn", json=verify_request(message("Hi"))).json() == {"message": None, "usage": None}


class Seen(Environment):
    def next_turn(self, rollout: Rollout) -> str:
        return f"{rollout.turns} " + " | ".join(f"{one.role}: {one.text}" for one in rollout.dialogue)

    def reward(self) -> float:
        return 0.0


def test_turns_and_dialogue_begin_with_the_task(serve: Serve) -> None:
    request = verify_request(message("Oslo."), USER, message("Rome."))
    given = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Oslo?"}]
    request["responses_create_params"] = {"input": given}
    said = serve(Seen).post("/next_turn", json=request).json()["message"]["content"]
    assert said == "2 user: Oslo? | assistant: Oslo. | user: And Rome? | assistant: Rome."


@pytest.mark.parametrize("said", ["", [], 7, {"text": "x"}, ["x"]], ids=str)
def test_what_is_no_message_is_an_error_of_the_environment(serve: Serve, said: Any) -> None:
    answer = TestClient(serve(Echo).app, raise_server_exceptions=False).post(
        "/next_turn", json=verify_request(message("Hi"), says=said)
    )
    assert (answer.status_code, answer.json()["error"]["kind"]) == (500, "turn_error")


def test_a_turn_that_is_taken_again_says_what_was_said(client: TestClient) -> None:
    request = verify_request(message("Hi"), says="other", replayed_turn={"message": USER})
    assert client.post("/next_turn", json=request).json()["message"] == USER
    ended = verify_request(message("Hi"), says="other", replayed_turn={"message": None})
    assert client.post("/next_turn", json=ended).json()["message"] is None


def test_a_seed_tells_the_agent_whether_there_are_turns(client: TestClient, serve: Serve) -> None:
    assert client.post("/seed_session", json={}).headers[TAKES_TURNS_HEADER] == "1"
    single = type("Single", (Environment,), {"reward": lambda self: 1.0, "__module__": __name__})
    assert TAKES_TURNS_HEADER not in serve(single).post("/seed_session", json={}).headers


def test_the_route_of_turns_is_no_tool_and_no_tool_can_have_its_name(client: TestClient) -> None:
    assert client.get("/tools").json() == []
    with pytest.raises(TypeError, match="can't be named 'next_turn'"):
        type("Wrong", (Environment,), {"go": tool(name="next_turn")(lambda self: ""), "__module__": __name__})
