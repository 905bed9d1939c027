"""The environments of docs/writing-environments.md score as the page says."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.docs.pages import write_files
from tests.unit.environments.conftest import call, message, verify_request

pytestmark = pytest.mark.integration


@pytest.fixture
def written(project: Path) -> Path:
    """The project folder with the files of the page."""
    write_files("docs/writing-environments.md", project)
    return project


def _client(folder: Path, name: str, class_name: str) -> TestClient:
    scope: dict[str, object] = {"__name__": name}
    exec(compile((folder / f"resources_servers/{name}/app.py").read_text(), name, "exec"), scope)
    environment: type = scope[class_name]  # type: ignore[assignment]
    config = {"host": "", "port": 0, "entrypoint": "", "name": name}
    return TestClient(environment(config=environment.model_fields["config"].annotation(**config)).setup_webserver())  # type: ignore[attr-defined]


@pytest.mark.parametrize(("answer", "reward"), [("It is 42.", 1.0), ("It is 41", 0.0), ("", 0.0)])
def test_the_function_scores_the_last_word(written: Path, answer: str, reward: float) -> None:
    client = _client(written, "arithmetic", "arithmetic")
    assert client.post("/verify", json=verify_request(message(answer), expected=42)).json()["reward"] == reward


def test_the_tool_is_offered_and_has_to_be_used(written: Path) -> None:
    client = _client(written, "harbour", "Harbour")
    (tool,) = client.get("/tools").json()
    assert tool["parameters"]["properties"]["city"]["description"] == "Name of the city."
    asked = call("tide", '{"city": "Brest"}')
    rewards = [
        client.post("/verify", json=verify_request(*output, message("6.2 metres"), city="Brest")).json()["reward"]
        for output in ([asked], [])
    ]
    assert rewards == [1.0, 0.0]


def test_the_state_is_made_from_the_task_and_scored_in_parts(written: Path) -> None:
    client = _client(written, "pantry", "Shopping")
    client.post("/seed_session", json={"responses_create_params": {"input": "x"}, "budget": 5, "wanted": ["fig"]})
    assert client.post("/buy", json={"item": "fig", "price": 3}).text == "2 is left."
    assert client.post("/buy", json={"item": "plum", "price": 3}).json()["detail"] == "Refused: 2 is left."
    row = client.post("/verify", json=verify_request(wanted=["fig"], budget=5)).json()
    assert (row["reward"], row["reward_parts"]) == (1.0, {"complete": 1.0, "nothing_else": 1.0})
    assert row["bought"] == ["fig"]
