"""Verifying a saved rollout of several turns again: the session's state comes back, turn by turn."""

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
    NextTurnRequest,
    SimpleResourcesServer,
    UserTurn,
)
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.rollouts.reverify.verify_again import verify_again
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.servers.serving.connections.listeners import bind
from nemo_gym.wire.failure import RolloutError

DEADLINE = Deadline(5.0, "a test's bound")
Item = dict[str, Any]


class Nothing(BaseModel):
    pass


class DiaryServer(SimpleResourcesServer):
    """In the class style: the state of a session is what happened in it."""

    config: BaseResourcesServerConfig
    session_state = list

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/act")(self.act)
        app.post("/next_turn")(self.next_turn)
        return app

    async def act(self, request: Request, body: Nothing) -> str:
        self.state(request).append("act")
        return "done"

    async def next_turn(self, request: Request, body: NextTurnRequest) -> UserTurn:
        assert body.replayed_turn is not None
        if body.model_extra and body.model_extra.get("is_broken"):
            raise RuntimeError("no memory")
        message = body.replayed_turn.message
        self.state(request).append(f"{len(body.response.output)} items, then {message and message['content']}")
        return body.replayed_turn

    async def verify(self, request: Request, body: BaseVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        return BaseVerifyResponse(**body.model_dump(), reward=1.0, diary=self.state(request))


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="diary")
    nowhere = ServerClient(BaseServerConfig(host="127.0.0.1", port=1), DictConfig({}))
    listener = bind("127.0.0.1", 0)
    host, port = listener.getsockname()
    app = DiaryServer(config=config, server_client=nowhere).setup_webserver()
    web = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    serving = asyncio.ensure_future(web.serve([listener]))
    agent = {"host": host, "port": 1, "resources_server": {"type": "resources_servers", "name": "diary"}}
    known = {
        "diary": {"resources_servers": {"diary": {"host": host, "port": port}}},
        "agent": {"responses_api_agents": {"any": agent}},
    }
    yield ServerClient(BaseServerConfig(host=host, port=1), DictConfig(known))
    await close_global_aiohttp_client()
    web.should_exit = True
    await serving


def user(text: str) -> Item:
    return {"type": "message", "role": "user", "content": text}


def assistant(text: str) -> Item:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}


def act(call_id: str) -> list[Item]:
    call = {"type": "function_call", "call_id": call_id, "name": "act", "arguments": "{}"}
    return [call, {"type": "function_call_output", "call_id": call_id, "output": "done"}]


def saved(*output: Item, details: Item | None = None, **more: Any) -> dict[str, Any]:
    response = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": list(output)}
    return {"responses_create_params": {"input": "go"}, "response": response | {"incomplete_details": details}, **more}


TWO_TURNS = (*act("1"), assistant("one"), user("more"), *act("2"), *act("3"), assistant("two"))


@pytest.mark.parametrize(
    ("request_", "diary"),
    [
        pytest.param(
            saved(*TWO_TURNS), ["act", "3 items, then more", "act", "act", "9 items, then None"], id="to-its-end"
        ),
        pytest.param(
            saved(*TWO_TURNS, stopped_by="max_turns"), ["act", "3 items, then more", "act", "act"], id="limit"
        ),
        pytest.param(saved(assistant("I w"), details={"reason": "max_output_tokens"}), [], id="cut-off"),
        pytest.param(
            saved(assistant("one"), user("more"), stopped_by="context_length"), ["1 items, then more"], id="full"
        ),
        pytest.param(saved(*act("1")), ["act"], id="ends-with-a-call"),
        pytest.param(saved(), [], id="empty"),
    ],
)
async def test_calls_and_turns_are_taken_again_in_their_order(
    client: ServerClient, request_: dict[str, Any], diary: list[str]
) -> None:
    assert (await verify_again(client, "agent", request_, DEADLINE))["diary"] == diary


async def test_a_turn_that_cannot_be_taken_again_is_a_failure_that_keeps_the_trajectory(client: ServerClient) -> None:
    request = saved(*TWO_TURNS, is_broken=True)
    with pytest.raises(RolloutError) as caught:
        await verify_again(client, "agent", request, DEADLINE)
    assert caught.value.failure.kind == "turn_error"
    assert caught.value.trajectory is request
