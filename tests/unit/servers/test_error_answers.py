"""Every error becomes one envelope, and a failure keeps its identity on every hop."""

import logging
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
    ToolError,
)
from nemo_gym.base_responses_api_agent import BaseResponsesAPIAgentConfig, SimpleResponsesAPIAgent
from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, Body, SimpleResponsesAPIModel
from nemo_gym.openai_utils import NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.server_utils import RolloutError, ServerClient, get_response_json, raise_for_status, rollout_error

ROW = {"responses_create_params": {"input": "hi"}}


class Question(BaseModel):
    text: str


class BreakingServer(SimpleResourcesServer):
    config: BaseResourcesServerConfig
    error: Exception

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/ask")(self.ask)
        return app

    async def ask(self, body: Question) -> None:
        raise self.error

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        raise self.error


def client_of(error: Exception) -> TestClient:
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="quiz")
    server = BreakingServer(config=config, server_client=MagicMock(spec=ServerClient), error=error)
    return TestClient(server.setup_webserver(), raise_server_exceptions=False)


def ask(error: Exception) -> tuple[int, dict[str, Any]]:
    answer = client_of(error).post("/ask", json={"text": "?"})
    return answer.status_code, answer.json()


def test_a_body_that_is_not_json_is_422_and_says_where() -> None:
    answer = client_of(ValueError()).post("/ask", content=b'{"text": ')
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "json_invalid"
    assert answer.json()["error"]["kind"] == "input_invalid"


def test_a_body_that_does_not_validate_keeps_fastapis_detail_beside_the_envelope() -> None:
    answer = client_of(ValueError()).post("/ask", json={"text": 3})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "text"]
    assert answer.json()["error"]["reason"] == "body.text: Input should be a valid string"
    assert answer.json()["error"]["terminal"] is True


@pytest.mark.parametrize("error_class", [HTTPException, StarletteHTTPException])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "input_invalid"), (403, "input_invalid"), (409, "input_invalid"), (429, "tool_error"), (503, "tool_error")],
)
def test_an_http_exception_keeps_status_detail_and_headers(
    error_class: type[StarletteHTTPException], status: int, kind: str
) -> None:
    answer = client_of(error_class(status, "not so", {"x-reason": "test"})).post("/ask", json={"text": "?"})
    assert (answer.status_code, answer.json()["detail"], answer.headers["x-reason"]) == (status, "not so", "test")
    assert answer.json()["error"]["kind"] == kind
    assert answer.json()["error"]["origin"] == {"server": "quiz", "status": status}


def test_a_tool_error_is_what_the_policy_reads() -> None:
    status, body = ask(ToolError("the room is taken"))
    assert (status, body["detail"], body["error"]["kind"]) == (400, "the room is taken", "input_invalid")


def test_an_unforeseen_exception_shows_its_request_id_and_not_its_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        status, body = ask(RuntimeError("the answer is forty-two, the key sk-canary"))
    assert (status, body["error"]["kind"], body["error"]["stage"]) == (500, "tool_error", "agent")
    assert "forty-two" not in str(body)
    assert "canary" not in str(body)
    assert f"request {body['error']['request_id']} failed" in caplog.text
    assert "the answer is forty-two" in caplog.text


def test_an_exception_in_verify_is_a_verifier_error() -> None:
    row = ROW | {"response": {"id": "r", "created_at": 1, "model": "m", "output": []}}
    answer = client_of(KeyError("x")).post("/verify", json=row)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (500, "verifier_error")
    assert answer.json()["error"]["stage"] == "verification"


def test_an_answer_json_has_no_form_for_is_an_error_too() -> None:
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="quiz")
    server = BreakingServer(config=config, server_client=MagicMock(spec=ServerClient), error=ValueError())
    app = server.setup_webserver()

    @app.post("/odd")
    async def odd() -> Any:
        return {"thing": object()}

    assert TestClient(app, raise_server_exceptions=False).post("/odd").json()["error"]["kind"] == "tool_error"


class RefusingModel(SimpleResponsesAPIModel):
    config: BaseResponsesAPIModelConfig
    error: Exception

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming = Body()) -> NeMoGymResponse:
        raise self.error

    async def chat_completions(self, body: Any = Body()) -> Any:
        raise self.error


class PassingAgent(SimpleResponsesAPIAgent):
    """Asks the next server, and adds nothing."""

    config: BaseResponsesAPIAgentConfig
    next_server: str

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming = Body()) -> NeMoGymResponse:
        answer = await self.server_client.post(self.next_server, "/v1/responses", json=body)
        await raise_for_status(answer)
        return NeMoGymResponse.model_validate(await get_response_json(answer))

    async def run(self, body: Any = Body()) -> Any:
        raise NotImplementedError


def refusing_model(error: Exception) -> FastAPI:
    config = BaseResponsesAPIModelConfig(host="", port=0, entrypoint="", name="judge")
    return RefusingModel(config=config, server_client=MagicMock(spec=ServerClient), error=error).setup_webserver()


async def test_a_failure_passes_two_hops_unchanged(
    serve_app: Callable[[FastAPI], int], client_for: Callable[..., ServerClient]
) -> None:
    failure = rollout_error(
        "model_rate_limited", "the judge answered 429", stage="verification", server="judge", status=429
    ).failure.model_copy(update={"upstream_body": "slow down", "request_id": "abc", "extra": {"kept": 1}})
    ports = {"judge": serve_app(refusing_model(RolloutError(failure)))}
    for name, next_server in (("inner", "judge"), ("outer", "inner")):
        config = BaseResponsesAPIAgentConfig(host="", port=0, entrypoint="", name=name)
        agent = PassingAgent(config=config, server_client=client_for(**ports), next_server=next_server)
        ports[name] = serve_app(agent.setup_webserver())
    answer = await client_for(**ports).post("outer", "/v1/responses", json=ROW["responses_create_params"])
    assert answer.status == 429
    with pytest.raises(RolloutError) as caught:
        answer.raise_for_status()
    assert caught.value.failure == failure


@pytest.mark.parametrize(
    ("status", "detail", "kind"),
    [
        (429, "slow down", "model_rate_limited"),
        (401, "who are you", "model_auth"),
        (400, "maximum context length is 10 tokens", "context_length_exceeded"),
        (400, "no such parameter", "model_bad_request"),
        (503, "loading", "model_unavailable"),
    ],
)
def test_a_model_servers_http_exception_is_read_like_an_endpoints_answer(status: int, detail: str, kind: str) -> None:
    client = TestClient(refusing_model(HTTPException(status, detail)))
    answer = client.post("/v1/responses", json={"input": "hi"})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (status, kind)
