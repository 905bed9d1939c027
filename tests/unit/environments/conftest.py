"""Environments in the short style, as apps that tests call."""

from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient

from nemo_gym.environments import BaseResourcesServerConfig, Environment
from nemo_gym.server_utils import ServerClient

PARAMS = {"input": "What?"}


def message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}


def call(name: str, arguments: str, call_id: str = "c1") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def result(output: str, call_id: str = "c1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def verify_request(*output: dict[str, Any], **task: Any) -> dict[str, Any]:
    response = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": list(output)}
    return {"responses_create_params": PARAMS, "response": response, **task}


@pytest.fixture
def serve() -> Callable[..., TestClient]:
    """Return a function from an environment's class to a client of its app."""

    def start(environment: type[Environment], **settings: Any) -> TestClient:
        config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="env", **settings)
        server = environment(config=config, server_client=MagicMock(spec=ServerClient))
        return TestClient(server.setup_webserver())

    return start
