"""Tests of the café: the real app, through a test client; the guest reads out, or is played by a scripted model."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from omegaconf import DictConfig

from nemo_gym.config.errors import ConfigError
from nemo_gym.environments import SimulatedUserConfig
from nemo_gym.server_utils import BaseServerConfig, ServerClient
from resources_servers.example_multi_turn.app import CafeConfig, CafeServer
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig

CONFIGS = Path(__file__).parents[1] / "configs"
TASK = {
    "responses_create_params": {"input": "2 teas, please."},
    "wishes": ["And 1 cake.", "No cake after all."],
    "expected_order": {"tea": 2},
}


def settings_of(file: str, *keys: str) -> dict[str, Any]:
    found: Any = yaml.safe_load((CONFIGS / file).read_text())
    for key in keys:
        found = found[key]
    settings: dict[str, Any] = found
    return settings


def make(guest: dict[str, Any] | None = None, **changes: Any) -> TestClient:
    """Return a client of the café; with settings of a scripted model, that one plays the guest."""
    nowhere = {"host": "127.0.0.1", "port": 1}
    known = {"user_model": {"responses_api_models": {"scripted_model": nowhere}}}
    client = ServerClient(BaseServerConfig(**nowhere), DictConfig(known))
    user = None
    if guest is not None:
        config = ScriptedModelConfig(**{**guest, "entrypoint": "app.py"}, host="", port=0, name="user_model")
        client.use_local_apps({"user_model": ScriptedModel(config=config).setup_webserver()})
        keys = ("example_multi_turn", "resources_servers", "example_multi_turn", "simulated_user")
        user = SimulatedUserConfig(**{**settings_of("simulated_user.yaml", *keys), **changes})
    cafe = CafeConfig(host="", port=0, entrypoint="app.py", name="cafe", simulated_user=user)
    return TestClient(CafeServer(config=cafe, server_client=client).setup_webserver())


SCRIPTED = settings_of("scripted_user.yaml", "user_model", "responses_api_models", "scripted_model")


def message(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}


def request_after(*said: str) -> dict[str, Any]:
    """Return a request after messages of policy and guest, in turn."""
    output = [message("user" if number % 2 else "assistant", text) for number, text in enumerate(said)]
    return {**TASK, "response": {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": output}}


def talk(client: TestClient) -> list[str]:
    """Return what the guest says to a policy that only says yes, until the end."""
    said = ["Yes."]
    while (turn := client.post("/next_turn", json=request_after(*said)).json())["message"] is not None:
        said += [turn["message"]["content"], "Yes."]
    return said[1::2]


@pytest.mark.parametrize("guest", [None, SCRIPTED], ids=["reads-out", "played-by-a-model"])
def test_the_guest_says_every_wish_and_then_nothing(guest: dict[str, Any] | None) -> None:
    client = make(guest)
    client.post("/seed_session", json=TASK)
    assert [said.rstrip(".") for said in talk(client)] == ["And 1 cake", "No cake after all"]


def test_what_the_model_costs_that_plays_the_guest_comes_with_each_turn() -> None:
    client = make({"default_answer": {"message": "Hm.", "usage": {"input_tokens": 9, "output_tokens": 2}}})
    client.post("/seed_session", json=TASK)
    usage = client.post("/next_turn", json=request_after("Yes.")).json()["usage"]
    assert usage == {"calls": 1, "input_tokens": 9, "output_tokens": 2, "total_tokens": 11}


@pytest.mark.parametrize(
    ("guest", "kind", "says"),
    [
        (
            {"default_answer": {"message": " "}},
            "turn_error",
            "no whole message in 3 answers of the simulated user user_model",
        ),
        (
            {"default_answer": {"message": "I w", "incomplete": "max_output_tokens"}},
            "turn_error",
            "the last one: 'I w'",
        ),
        (
            {"faults": [{"kind": "status", "status": 401}]},
            "user_failed",
            "the simulated user user_model answered 401 (model_auth)",
        ),
    ],
)
def test_a_model_that_says_nothing_is_a_failure_and_never_the_end_of_the_episode(
    guest: dict[str, Any], kind: str, says: str
) -> None:
    client = make(guest)
    client.post("/seed_session", json=TASK)
    failure = client.post("/next_turn", json=request_after("Yes.")).json()["error"]
    assert (failure["kind"], failure["stage"], failure["origin"]["server"]) == (kind, "agent", "user_model")
    assert says in failure["reason"]


def test_a_turn_that_is_taken_again_asks_no_model() -> None:
    client = make({"faults": [{"kind": "status", "status": 401}]})
    client.post("/seed_session", json=TASK)
    again = {**request_after("Yes."), "replayed_turn": {"message": message("user", "And 1 pie.")}}
    assert client.post("/next_turn", json=again).json()["message"]["content"] == "And 1 pie."


def test_a_prompt_without_the_dialogue_ends_the_start() -> None:
    with pytest.raises(ConfigError, match=r"the simulated user's prompt lacks the placeholder \{dialogue\}"):
        make(SCRIPTED, prompt="Say {wishes}")


@pytest.mark.parametrize(
    ("calls", "reward"),
    [
        pytest.param([("tea", 2)], 1.0, id="right"),
        pytest.param([("tea", 2), ("cake", 1), ("cake", 0)], 1.0, id="taken-off"),
        pytest.param([("tea", 2), ("cake", 1)], 0.0, id="one-too-many"),
        pytest.param([("tea", 1)], 0.0, id="too-few"),
        pytest.param([], 0.0, id="nothing"),
    ],
)
def test_the_order_at_the_end_counts(calls: list[tuple[str, int]], reward: float) -> None:
    client = make()
    client.post("/seed_session", json=TASK)
    for item, quantity in calls:
        client.post("/set_quantity", json={"item": item, "quantity": quantity})
    assert client.post("/verify", json=request_after("Yes.")).json()["reward"] == reward
