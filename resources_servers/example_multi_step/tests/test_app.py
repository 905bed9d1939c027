"""Tests of the multi-step example: the real app, through a test client."""

import json
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient

from nemo_gym.server_utils import ServerClient
from resources_servers.example_multi_step.app import (
    ExampleMultiStepResourcesServer,
    ExampleMultiStepResourcesServerConfig,
)

TASK = {
    "responses_create_params": {"input": "Why is noon warm?"},
    "id": 7,
    "expected_synonyms": ["Sunny", "Bright"],
    "expected_synonym_values": [541, 608],
    "minefield_label": "Sun",
    "minefield_label_value": 310,
}


@pytest.fixture
def client() -> TestClient:
    config = ExampleMultiStepResourcesServerConfig(host="", port=0, entrypoint="app.py", name="steps")
    server = ExampleMultiStepResourcesServer(config=config, server_client=MagicMock(spec=ServerClient))
    return TestClient(server.setup_webserver())


def verdict(client: TestClient, *arguments: str, **task: Any) -> dict[str, Any]:
    """Return the verdict on a rollout with these calls of `extract_synonym_values`."""
    calls = [
        {"type": "function_call", "call_id": f"c{n}", "name": "extract_synonym_values", "arguments": text}
        for n, text in enumerate(arguments)
    ]
    response = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": calls}
    answer = client.post("/verify", json={**TASK, **task, "response": response})
    assert answer.status_code == 200, answer.text
    given: dict[str, Any] = answer.json()
    return given


def values(*numbers: int) -> str:
    return json.dumps({"synonym_values": numbers})


def test_a_synonyms_value_is_the_sum_of_its_character_codes(client: TestClient) -> None:
    assert client.post("/get_synonym_value", json={"synonym": "Sunny"}).json() == {"synonym_value": 541}
    assert client.post("/extract_synonym_values", json={"synonym_values": [1]}).json() == {"success": True}


@pytest.mark.parametrize(
    ("calls", "reward", "overlap", "hit", "wrong_order"),
    [
        pytest.param([values(541, 608)], 1.0, 1.0, False, False, id="right"),
        pytest.param([values(608, 541)], 0.0, 1.0, False, True, id="order"),
        pytest.param([values(541, 541, 608)], 0.0, 1.0, False, True, id="twice"),
        pytest.param([values(310, 541)], 0.0, 0.5, True, False, id="the-term-itself"),
        pytest.param([values(541, 608), values(1)], 0.0, 0.0, False, False, id="the-last-call-counts"),
        pytest.param([], 0.0, 0.0, False, False, id="no-call"),
        pytest.param(["{broken"], 0.0, 0.0, False, False, id="no-json"),
        pytest.param(['{"synonym_values": ["541", 608.0, true, []]}'], 0.0, 0.0, False, False, id="no-integers"),
        pytest.param(['{"synonym_values": [541.0, 608.0]}'], 0.0, 0.0, False, False, id="floats"),
        pytest.param(['{"synonym_values": [541, "Sun"]}'], 0.0, 0.5, True, False, id="the-term-in-words"),
    ],
)
def test_the_last_values_count_in_their_order(
    client: TestClient, calls: list[str], reward: float, overlap: float, hit: bool, wrong_order: bool
) -> None:
    given = verdict(client, *calls)
    assert (given["reward"], given["accuracy"], given["set_overlap"]) == (reward, reward == 1.0, overlap)
    assert given["original_term_minefield_hit"] is hit
    assert given["order_instruction_following_failure"] is wrong_order


def test_values_that_are_expected_twice_or_not_at_all_have_an_overlap_too(client: TestClient) -> None:
    assert verdict(client, values(541, 541), expected_synonym_values=[541, 541])["set_overlap"] == 1.0
    assert verdict(client, values(), expected_synonym_values=[])["set_overlap"] == 1.0
