"""Methods marked as CPU-heavy: the same code, called in another process."""

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from nemo_gym.environments import Environment, Rollout, single_answer, tool, verifier
from tests.unit.environments.conftest import PARAMS, message, verify_request
from tests.unit.environments.heavy_environments import Factors, HeavyConfig, patient


def client_of(environment: type[Environment], **settings: Any) -> TestClient:
    config = HeavyConfig(host="", port=0, entrypoint="", name="env", **settings)
    return TestClient(environment(config=config).setup_webserver(), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def factors() -> Iterator[TestClient]:
    """One server for all tests, since its process takes a second to start."""
    with client_of(Factors, factor=3) as client:
        yield client


def seeded(client: TestClient, wanted: str) -> None:
    client.cookies.clear()
    client.post("/seed_session", json={"responses_create_params": PARAMS, "wanted": wanted})


def verdict(client: TestClient, text: str, wanted: str) -> Any:
    return client.post("/verify", json=verify_request(message(text), wanted=wanted, extra=[1, {"a": None}]))


def test_a_heavy_reward_sees_rollout_state_and_task_and_its_verdict_is_the_same(factors: TestClient) -> None:
    seeded(factors, "oak")
    factors.post("/note", json={"word": "oak"})
    row = verdict(factors, "elm", "oak").json()
    assert row["reward"] == 0.5
    assert row["reward_parts"] == {"said": 0.0, "noted": 1.0}
    assert row["extra"] == [1, {"a": None}]
    assert row["pid"] != os.getpid()


@pytest.mark.parametrize(
    ("wanted", "kind", "reason"),
    [
        ("lost", "session_lost", "as the verifier says"),
        ("error", "verifier_error", "ValueError: a fault of the verifier"),
        ("for ever", "verifier_error", r"0\.5 s of CPU time"),
    ],
)
def test_what_a_heavy_reward_raises_is_a_failure(factors: TestClient, wanted: str, kind: str, reason: str) -> None:
    seeded(factors, wanted)
    answer = verdict(factors, "?", wanted)
    assert answer.json()["error"]["kind"] == kind
    assert answer.status_code != 200
    assert re.search(reason, answer.json()["error"]["reason"])


def test_a_heavy_tool_has_the_settings_and_runs_elsewhere(factors: TestClient) -> None:
    seeded(factors, "?")
    said = factors.post("/multiply", json={"number": 5}).json()
    assert said["product"] == 15
    assert said["pid"] != os.getpid()


def test_the_policy_reads_what_a_heavy_tool_refuses_and_that_it_was_stopped(factors: TestClient) -> None:
    seeded(factors, "?")
    refused = factors.post("/multiply", json={"number": 0})
    assert (refused.status_code, refused.json()["detail"]) == (400, "zero is too easy")
    stopped = factors.post("/multiply", json={"number": -1})
    assert stopped.status_code == 400
    assert "multiply was stopped" in stopped.json()["detail"]
    wrong = factors.post("/multiply", json={"number": "many"})
    assert "number" in wrong.text


def test_an_answer_beyond_the_limit_gets_the_reward_that_the_author_chose() -> None:
    with client_of(patient) as client:
        rewards = [verdict(client, text, "x").json()["reward"] for text in ("x", "y", "for ever", "x")]
    assert rewards == [1.0, 0.0, 0.25, 1.0]


def test_what_cannot_be_called_elsewhere_is_said_when_the_class_is_made() -> None:
    with pytest.raises(TypeError, match="write `def`"):

        class Waits(Environment):
            @verifier(cpu_heavy=True)
            async def reward(self, rollout: Rollout) -> float:
                return 0.0

    with pytest.raises(TypeError, match="can't have `state`"):

        class Changes(Environment):
            @tool(cpu_heavy=True)
            def change(self, state: dict[str, str]) -> str:
                """Change it."""
                return ""

    with pytest.raises(TypeError, match="top level"):

        @single_answer(cpu_heavy=True)
        def hidden(answer: str) -> float:
            return 0.0
