"""Whole rollouts: the simple agent, the scripted model as the policy, and rows as they are published."""

import asyncio
import json
from typing import Any
from unittest.mock import MagicMock

import orjson
import pytest
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient
from omegaconf import DictConfig

from nemo_gym.server_utils import BaseServerConfig, ServerClient
from resources_servers.workplace_assistant.app import WorkplaceAssistantConfig, WorkplaceAssistantServer
from resources_servers.workplace_assistant.tests.conftest import FOLDER, called
from responses_api_agents.simple_agent.app import SimpleAgent, SimpleAgentConfig
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig

NOWHERE = {"host": "127.0.0.1", "port": 1}
KINDS = {"env": "resources_servers", "agent": "responses_api_agents", "model": "responses_api_models"}
REFERENCES = {
    "resources_server": {"type": "resources_servers", "name": "env"},
    "model_server": {"type": "responses_api_models", "name": "model"},
}
SEARCH = {"name": "email_search_emails", "arguments": '{"query": "hugo", "page": null}'}
DELETE = called("email_delete_email", email_id="00000481")


@pytest.fixture
def environment() -> FastAPI:
    config = WorkplaceAssistantConfig(**NOWHERE, entrypoint="app.py", name="env")
    return WorkplaceAssistantServer(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver()


@pytest.fixture
def published_row(environment: FastAPI) -> dict[str, Any]:
    """A task in the form of the published ones: all tools in the row, none of them strict."""
    tools = [{**tool, "strict": False} for tool in TestClient(environment).get("/tools").json()]
    said = {"role": "user", "content": "Delete the newest mail that I got from Hugo."}
    params = {"input": [said], "tools": tools, "parallel_tool_calls": False, "temperature": 1}
    task = {"id": 900, "category": "workplace_assistant_email", "environment_name": "workplace_assistant"}
    return {**task, "ground_truth": [DELETE], "responses_create_params": params}


async def rollout(environment: FastAPI, row: dict[str, Any], *calls: dict[str, str]) -> dict[str, Any]:
    """Run a row with a policy that makes these calls one after the other, and then says that it's done."""
    client = ServerClient(BaseServerConfig(**NOWHERE), DictConfig({n: {k: {"x": NOWHERE}} for n, k in KINDS.items()}))
    shipped = yaml.safe_load((FOLDER / "configs/workplace_assistant.yaml").read_text())
    settings = shipped["workplace_assistant_simple_agent"]["responses_api_agents"]["simple_agent"]
    steps = {"entrypoint": "app.py", "max_steps": settings["max_steps"]}
    agent = SimpleAgent(config=SimpleAgentConfig(**NOWHERE, **steps, name="agent", **REFERENCES), server_client=client)
    model = ScriptedModel(config=ScriptedModelConfig(**NOWHERE, entrypoint="app.py", name="model"))
    apps = {"env": environment, "agent": agent.setup_webserver(), "model": model.setup_webserver()}
    client.use_local_apps(apps)
    script = json.dumps([*({"call": call} for call in calls), {"message": "Done."}])
    params = {**row["responses_create_params"], "metadata": {"script": script}}
    answer = await client.post("agent", "/run", json={**row, "responses_create_params": params})
    assert answer.status == 200, answer.body
    scored: dict[str, Any] = orjson.loads(answer.body)
    return scored


async def test_a_row_as_published_is_solved(environment: FastAPI, published_row: dict[str, Any]) -> None:
    scored = await rollout(environment, published_row, SEARCH, DELETE)
    outputs = [item["output"] for item in scored["response"]["output"] if item["type"] == "function_call_output"]
    assert scored["reward"] == 1.0
    assert orjson.loads(outputs[0])["emails"][0]["email_id"] == "00000481"
    assert outputs[1] == "Email deleted successfully."
    assert {key: scored[key] for key in ("id", "category", "ground_truth")} == {
        "id": 900,
        "category": "workplace_assistant_email",
        "ground_truth": [DELETE],
    }


async def test_a_policy_that_needs_more_than_six_steps_is_not_rewarded(
    environment: FastAPI, published_row: dict[str, Any]
) -> None:
    scored = await rollout(environment, published_row, *[SEARCH] * 6, DELETE)
    assert scored["reward"] == 0.0


async def test_rollouts_beside_each_other_do_not_meet(environment: FastAPI, published_row: dict[str, Any]) -> None:
    idle, busy = [SEARCH, SEARCH], [DELETE, SEARCH]
    rollouts = [rollout(environment, published_row, *calls) for calls in (idle, busy) * 4]
    assert [scored["reward"] for scored in await asyncio.gather(*rollouts)] == [0.0, 1.0] * 4
