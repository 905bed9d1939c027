"""The workplace as an app that tests call, and rollouts in its session."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from nemo_gym.server_utils import ServerClient
from resources_servers.workplace_assistant.app import WorkplaceAssistantConfig, WorkplaceAssistantServer

FOLDER = Path(__file__).parent.parent
PARAMS = {"input": "Do it."}


@dataclass
class Session:
    """A session of the app.

    Attributes:
        client: Of the app, with the session's cookies.
    """

    client: TestClient

    def seed(self, ground_truth: Any = ()) -> Response:
        row = {"responses_create_params": PARAMS, "ground_truth": ground_truth or []}
        return self.client.post("/seed_session", json=row)

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Return what the policy reads: text or JSON of a result, the detail of a refusal."""
        answer = self.client.post(f"/{name}", json=arguments)
        if answer.status_code != 200:
            assert answer.status_code in (400, 422), answer.text
            return answer.json()["error"]["reason"]
        is_json = answer.headers["content-type"] == "application/json"
        return answer.json() if is_json else answer.text

    def verify(self, ground_truth: Any, rollout: Iterable[dict[str, Any]]) -> Response:
        """Verify a rollout of `{"name", "arguments"}` and `{"message"}`."""
        items = [_message(one) if "message" in one else _call(one, number) for number, one in enumerate(rollout)]
        response = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": items}
        row = {"responses_create_params": PARAMS, "ground_truth": ground_truth}
        return self.client.post("/verify", json={**row, "response": response})

    def reward(self, ground_truth: Any, *rollout: dict[str, Any]) -> float:
        answer = self.verify(ground_truth, rollout)
        assert answer.status_code == 200, answer.text
        return float(answer.json()["reward"])


def called(name: str, /, **arguments: Any) -> dict[str, str]:
    """Return a call, as in a ground truth and in a rollout."""
    return {"name": name, "arguments": json.dumps(arguments)}


def _call(call: dict[str, Any], number: int) -> dict[str, Any]:
    return {"type": "function_call", "call_id": f"call_{number}", **call}


def _message(said: dict[str, Any]) -> dict[str, Any]:
    content = [{"type": "output_text", "text": said["message"], "annotations": []}]
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}


@pytest.fixture(scope="session")
def client() -> TestClient:
    config = WorkplaceAssistantConfig(host="", port=0, entrypoint="app.py", name="workplace_assistant")
    server = WorkplaceAssistantServer(config=config, server_client=MagicMock(spec=ServerClient))
    return TestClient(server.setup_webserver())


@pytest.fixture
def unseeded(client: TestClient) -> Session:
    return Session(TestClient(client.app))


@pytest.fixture
def session(unseeded: Session) -> Session:
    assert unseeded.seed().status_code == 200
    return unseeded


@pytest.fixture
def other(client: TestClient) -> Session:
    """Another session of the same app."""
    other = Session(TestClient(client.app))
    assert other.seed().status_code == 200
    return other
