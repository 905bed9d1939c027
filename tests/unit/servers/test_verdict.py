"""What a verifier may answer: a finite reward, and everything else untouched."""

import math
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient

from nemo_gym.base_resources_server import BaseResourcesServerConfig, BaseVerifyRequest, SimpleResourcesServer
from nemo_gym.server_utils import ServerClient

REQUEST: dict[str, Any] = {
    "responses_create_params": {
        "input": [{"role": "user", "content": "hi"}, {"type": "odd_item", "x": [1]}, {"id": "msg_1"}],
        "temperature": 0.5,
        "engine_option": {"a": None},
    },
    "response": {
        "id": "r",
        "created_at": 1,
        "model": "m",
        "output": [
            {"type": "reasoning", "id": "x", "summary": [], "prompt_token_ids": [1], "generation_token_ids": [2]}
        ],
        "engine_answer": [1, {"b": 2}],
    },
    "expected": {"city": "Rome"},
    "agent_ref": {"type": "responses_api_agents", "name": "a"},
}


class AnsweringServer(SimpleResourcesServer):
    config: BaseResourcesServerConfig
    answer: Any

    async def verify(self, body: BaseVerifyRequest) -> Any:
        return {**body.model_dump(), **self.answer} if isinstance(self.answer, dict) else self.answer


def verify(answer: Any) -> tuple[int, Any]:
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="quiz")
    server = AnsweringServer(config=config, server_client=MagicMock(spec=ServerClient), answer=answer)
    response = TestClient(server.setup_webserver()).post("/verify", json=REQUEST)
    return response.status_code, response.json()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"reward": math.nan}, id="nan"),
        pytest.param({"reward": math.inf}, id="infinite"),
        pytest.param({"reward": None}, id="null"),
        pytest.param({"reward": "1.0"}, id="text"),
        pytest.param({"reward": True}, id="boolean"),
        pytest.param({}, id="missing"),
        pytest.param(None, id="nothing"),
        pytest.param([1.0], id="list"),
    ],
)
def test_a_verdict_without_a_finite_reward_is_a_verifier_error(answer: Any) -> None:
    status, body = verify(answer)
    assert (status, body["error"]["kind"], body["error"]["stage"]) == (500, "verifier_error", "verification")
    assert "reward" not in body


@pytest.mark.parametrize("reward", [0, -1.5, 1.0])
def test_a_finite_reward_is_sent_with_everything_that_came(reward: float) -> None:
    status, body = verify({"reward": reward, "metric": 3})
    assert (status, body) == (200, REQUEST | {"reward": reward, "metric": 3})


@pytest.mark.parametrize("lacking", ["tools", "tool_choice", "parallel_tool_calls"])
def test_a_response_without_fields_that_have_a_default_is_accepted(lacking: str) -> None:
    assert lacking not in REQUEST["response"]
    assert verify({"reward": 1.0})[0] == 200
