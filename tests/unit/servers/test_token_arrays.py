"""Token arrays of a verify request: lists for a verifier that reads them, untouched text past one that does not."""

from typing import Any, ClassVar
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.server_utils import ServerClient

IDS = list(range(5000, 5300))
TOKENS = {"prompt_token_ids": IDS, "generation_token_ids": IDS, "generation_log_probs": [-0.1 - i / 9 for i in IDS]}
ITEM = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}], **TOKENS}
REQUEST = {
    "responses_create_params": {"input": "hi"},
    "response": {"id": "r", "created_at": 1, "model": "m", "output": [ITEM]},
}


class Reader(SimpleResourcesServer):
    config: BaseResourcesServerConfig

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        ids: Any = body.response.output[0].generation_token_ids
        return BaseVerifyResponse(**body.model_dump(), reward=float(sum(ids)))


class Carrier(Reader):
    verifier_reads_token_arrays: ClassVar[bool] = False

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        return BaseVerifyResponse(**body.model_dump(), reward=1.0)


class WrongfullyCarrier(Reader):
    verifier_reads_token_arrays: ClassVar[bool] = False


def verify(kind: type[Reader]) -> tuple[int, Any]:
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="quiz")
    server = kind(config=config, server_client=MagicMock(spec=ServerClient))
    answer = TestClient(server.setup_webserver(), raise_server_exceptions=False).post("/verify", json=REQUEST)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(("kind", "reward"), [(Reader, float(sum(IDS))), (Carrier, 1.0)])
def test_the_answer_holds_the_arrays_as_they_came(kind: type[Reader], reward: float) -> None:
    assert verify(kind) == (200, {**REQUEST, "reward": reward})


def test_a_verifier_that_reads_token_arrays_it_declared_unread_is_a_failure() -> None:
    status, body = verify(WrongfullyCarrier)
    assert (status, body["error"]["kind"]) == (500, "verifier_error")
