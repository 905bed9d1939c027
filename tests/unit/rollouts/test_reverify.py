"""Verifying a saved trajectory against a real resources server that keeps a session."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from omegaconf import DictConfig
from pydantic import BaseModel

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.rollouts.reverify.reverification import lasting_mask, verify_request_of
from nemo_gym.rollouts.reverify.verify_again import verify_again
from nemo_gym.rollouts.reverify.verify_schema import VerifySchema
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.servers.serving.connections.listeners import bind
from nemo_gym.wire.failure import RolloutError, rollout_error

DEADLINE = Deadline(5.0, "a test's bound")


class Adding(BaseModel):
    number: int


class SumVerifyRequest(BaseVerifyRequest):
    expected: int


class SumVerifyResponse(BaseVerifyResponse):
    expected: int
    total: int


class SumServer(SimpleResourcesServer):
    config: BaseResourcesServerConfig
    session_state = list
    is_down: bool = False

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/add")(self.add)
        return app

    async def add(self, request: Request, body: Adding) -> dict[str, int]:
        self.state(request).append(body.number)
        return {"total": sum(self.state(request))}

    async def verify(self, request: Request, body: SumVerifyRequest) -> SumVerifyResponse:
        if self.is_down:
            raise rollout_error("judge_failed", "the judge is down")
        total = sum(self.state(request))
        return SumVerifyResponse(**body.model_dump(), reward=float(total == body.expected), total=total)


@pytest.fixture
def server() -> SumServer:
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="sums")
    nowhere = ServerClient(BaseServerConfig(host="127.0.0.1", port=1), DictConfig({}))
    return SumServer(config=config, server_client=nowhere)


@pytest.fixture
async def client(server: SumServer) -> AsyncIterator[ServerClient]:
    listener = bind("127.0.0.1", 0)
    host, port = listener.getsockname()
    web = uvicorn.Server(uvicorn.Config(server.setup_webserver(), log_level="error"))
    serving = asyncio.ensure_future(web.serve([listener]))
    config = {
        "sums": {"resources_servers": {"sums": {"host": host, "port": port}}},
        "agent": {
            "responses_api_agents": {
                "any": {"host": host, "port": 1, "resources_server": {"type": "resources_servers", "name": "sums"}}
            }
        },
    }
    yield ServerClient(BaseServerConfig(host=host, port=1), DictConfig(config))
    await close_global_aiohttp_client()
    web.should_exit = True
    await serving


def call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def result(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "{}"}


def trajectory(*output: dict[str, Any], expected: int, **more: Any) -> dict[str, Any]:
    response = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": list(output)}
    return {"responses_create_params": {"input": "add"}, "expected": expected, "response": response, **more}


async def test_the_state_comes_back_by_playing_the_calls_that_reached_the_server(client: ServerClient) -> None:
    calls = [call("1", "add", '{"number": 2}'), result("1"), call("2", "add", '{"number": 3}'), result("2")]
    verdict = await verify_again(client, "agent", trajectory(*calls, expected=5), DEADLINE)
    assert (verdict["reward"], verdict["total"]) == (1.0, 5)


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param([call("1", "verify", "{}"), result("1")], id="reserved-path"),
        pytest.param([call("1", "../verify", "{}"), result("1")], id="path"),
        pytest.param([call("1", "unknown", "{}"), result("1")], id="undeclared"),
        pytest.param([call("1", "add", "{number"), result("1")], id="no-json"),
        pytest.param([call("1", "add", '{"number": 9}')], id="never-answered"),
    ],
)
async def test_a_call_that_the_agent_refused_is_not_played(refused: list[dict[str, Any]], client: ServerClient) -> None:
    calls = [*refused, call("2", "add", '{"number": 1}'), result("2")]
    verdict = await verify_again(client, "agent", trajectory(*calls, expected=1), DEADLINE)
    assert verdict["total"] == 1


async def test_a_failed_verification_keeps_the_trajectory(client: ServerClient, server: SumServer) -> None:
    server.is_down = True
    saved = trajectory(expected=0)
    with pytest.raises(RolloutError) as caught:
        await verify_again(client, "agent", saved, DEADLINE)
    assert (caught.value.failure.kind, caught.value.failure.stage) == ("judge_failed", "verification")
    assert caught.value.trajectory is saved


async def test_a_seed_that_fails_keeps_the_trajectory_too(client: ServerClient) -> None:
    client.global_config_dict["sums"]["resources_servers"]["sums"]["port"] = 1
    saved = trajectory(expected=0)
    with pytest.raises(RolloutError) as caught:
        await verify_again(client, "agent", saved, Deadline(0.3, "setting rollout_timeout_s"))
    assert caught.value.trajectory is saved


async def test_a_mask_for_what_broke_before_the_verdict_stays(client: ServerClient) -> None:
    mask = {"mask_sample": True, "failure_kind": "tool_error", "failure_reason": "it broke"}
    verdict = await verify_again(client, "agent", trajectory(expected=0, **mask), DEADLINE)
    assert {key: verdict[key] for key in mask} == mask


async def test_a_rollout_that_is_verified_again_keeps_its_times(client: ServerClient) -> None:
    times = {"_ng_started_at": 1.0, "_ng_elapsed_s": 2.0, "_ng_calls": [{"kind": "model", "at": 1.0, "elapsed_s": 1.5}]}
    verdict = await verify_again(client, "agent", trajectory(expected=0, **times), DEADLINE)
    assert {key: verdict[key] for key in times} == times


async def test_the_old_verdict_is_taken_off_whatever_the_verifier_adds(client: ServerClient) -> None:
    schema = await VerifySchema.ask(client, "sums")
    assert schema is not None
    assert schema.added == {"reward", "total"}
    row = {**trajectory(expected=0), "reward": 0.0, "total": 9, "note": "task", "_ng_task_index": 3}
    request = verify_request_of(row, schema.added)
    assert request == {**trajectory(expected=0), "note": "task"}
    assert (await verify_again(client, "agent", request, DEADLINE))["total"] == 0


@pytest.mark.parametrize(
    ("kind", "lasts"),
    [("tool_timeout", True), ("session_lost", True), ("verifier_error", False), ("judge_failed", False)],
)
def test_only_a_mask_of_the_verdict_is_lifted(kind: str, lasts: bool) -> None:
    row = {"mask_sample": True, "failure_kind": kind}
    assert lasting_mask(row) == (row if lasts else {})


def test_a_row_that_is_not_masked_has_no_mask_to_keep() -> None:
    assert lasting_mask({"mask_sample": False, "failure_kind": "tool_error"}) == {}
