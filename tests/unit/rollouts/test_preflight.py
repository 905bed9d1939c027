"""The checks before the first rollout, against real server classes called in memory."""

import json
from typing import Any

import pytest
from fastapi import Body, FastAPI
from omegaconf import DictConfig
from pydantic import BaseModel, PrivateAttr

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, SimpleResponsesAPIModel
from nemo_gym.collections.tasks import Task
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.rollouts.preflight import PING, find_mistakes, require_agent
from nemo_gym.server_utils import ServerClient, rollout_error
from tests.unit.rollouts.conftest import Agent, MakeCollection, task_line

GOOD = {"responses_create_params": {"input": "add"}, "expected": 3}
AGENT: dict[str, Any] = {
    "model_server": {"type": "responses_api_models", "name": "model"},
    "resources_server": {"type": "resources_servers", "name": "sums"},
}


class SumRequest(BaseVerifyRequest):
    expected: int
    note: str = ""


class Adding(BaseModel):
    number: int


class SumServer(SimpleResourcesServer):
    config: BaseResourcesServerConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/add")(self.add)
        return app

    async def add(self, body: Adding) -> Adding:
        return body

    async def verify(self, body: SumRequest) -> BaseVerifyResponse:
        return BaseVerifyResponse(**body.model_dump(), reward=1.0)


class Model(SimpleResponsesAPIModel):
    """Keeps what it was asked, and answers with a failure."""

    config: BaseResponsesAPIModelConfig
    _kind: str = PrivateAttr(default="model_unavailable")
    _asked: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    async def responses(self, body: dict[str, Any] = Body()) -> Any:
        self._asked.append(body)
        raise rollout_error(self._kind, f"{self.config.name}: answered 401: no", server="model", status=401)

    async def chat_completions(self, body: dict[str, Any] = Body()) -> Any:
        raise NotImplementedError


@pytest.fixture
def model() -> Model:
    return Model(
        config=BaseResponsesAPIModelConfig(host="", port=0, entrypoint="", name="model"), server_client=nowhere()
    )


def nowhere() -> ServerClient:
    return ServerClient(BaseServerConfig(host="127.0.0.1", port=1), DictConfig({}))


@pytest.fixture
def client(model: Model) -> ServerClient:
    sums = SumServer(
        config=BaseResourcesServerConfig(host="", port=0, entrypoint="", name="sums"), server_client=nowhere()
    )
    address = {"host": "127.0.0.1", "port": 1}
    config = {
        "sums": {"resources_servers": {"any": address}},
        "model": {"responses_api_models": {"any": address}},
        "agent": {"responses_api_agents": {"any": {**address, **AGENT}}},
        "other": {"responses_api_agents": {"any": {**address, **AGENT}}},
        "bare": {"responses_api_agents": {"any": address}},
    }
    client = ServerClient(BaseServerConfig(host="127.0.0.1", port=1), DictConfig(config))
    client.use_local_apps({"sums": sums.setup_webserver(), "model": model.setup_webserver()})
    return client


def tasks(*rows: Any) -> list[Task]:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    return [Task(index, index + 1, line) for index, line in enumerate(lines)]


async def only_mistake(client: ServerClient, *rows: Any) -> Mistake:
    (mistake,) = await find_mistakes(client, tasks(*rows), "agent")
    return mistake


async def test_a_good_start_costs_one_small_call_to_each_model(client: ServerClient, model: Model) -> None:
    rows = [{**GOOD, "agent_ref": {"name": name}} for name in ("agent", "other", "agent", "bare", "unknown")]
    assert await find_mistakes(client, tasks(*rows), None) == []
    assert model._asked == [PING]


async def test_with_nothing_left_to_run_no_model_is_asked(client: ServerClient, model: Model) -> None:
    assert await find_mistakes(client, [], "agent") == []
    assert model._asked == []


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        ("model_auth", "policy_api_key"),
        ("model_quota_exhausted", "quota"),
        ("transport_unreachable", "policy_base_url"),
        ("model_bad_request", "settings of the model server"),
    ],
)
async def test_a_model_that_can_answer_nobody_is_a_mistake(
    client: ServerClient, model: Model, kind: str, fix: str
) -> None:
    model._kind = kind
    mistake = await only_mistake(client, GOOD)
    assert mistake.what == "the test call to model failed: answered 401: no"
    assert fix in str(mistake.fix)
    assert "+preflight=false" in str(mistake.fix)


@pytest.mark.parametrize("role", ["judge", "user"])
async def test_another_model_of_an_environment_is_asked_too_and_its_own_settings_are_named(
    client: ServerClient, model: Model, role: str
) -> None:
    block = {"block": {f"{role}_model_server": {"type": "responses_api_models", "name": "model"}}}
    client.global_config_dict["sums"]["resources_servers"]["any"].update(block)
    client.global_config_dict["agent"]["responses_api_agents"]["any"].pop("model_server")
    model._kind = "model_auth"
    mistake = await only_mistake(client, GOOD)
    assert mistake.what == "the test call to model failed: answered 401: no"
    assert f"set {role}_api_key" in str(mistake.fix)


async def test_a_model_that_is_busy_is_no_mistake(client: ServerClient, model: Model) -> None:
    model._kind = "model_rate_limited"
    assert await find_mistakes(client, tasks(GOOD), "agent") == []


async def test_fields_that_the_verifier_needs_are_named(client: ServerClient) -> None:
    mistake = await only_mistake(client, {"responses_create_params": {"input": "x"}, "expectd": 3})
    assert mistake.what == "line 1 lacks expected, which the verifier of sums needs"


async def test_tools_that_the_environment_does_not_have_are_named(client: ServerClient) -> None:
    declared = [{"type": "function", "name": name} for name in ("add", "ad")] + [{"type": "web_search"}]
    mistake = await only_mistake(client, {**GOOD, "responses_create_params": {"input": "x", "tools": declared}})
    assert mistake.what == "line 1 declares tools that sums doesn't have: ad"
    assert "did you mean 'add'?" in str(mistake.fix)


async def test_a_first_row_that_is_not_a_task_is_a_mistake_and_a_later_one_is_not(client: ServerClient) -> None:
    assert "line 1 isn't valid JSON" in (await only_mistake(client, b"{", GOOD)).what
    assert await find_mistakes(client, tasks(GOOD, b"{"), "agent") == []


async def test_a_collection_with_a_mistake_writes_nothing_and_asks_no_agent(
    agent: Agent, collection: MakeCollection
) -> None:
    made = collection(["{", task_line(1)])
    with pytest.raises(ConfigError, match="line 1 isn't valid JSON"):
        await made.run()
    assert not made.paths.rollouts.parent.exists()
    report = await collection(["{", task_line(1)], preflight=False).run()
    assert (report.counts.scored, report.counts.failed, len(agent.asked)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("weather_agnet", ["no agent named 'weather_agnet' in the run\n", "did you mean"], id="misspelt"),
        pytest.param("sunny", ["but a server of another kind", "+agent_name=weather_agent"], id="an-environment"),
    ],
)
def test_a_name_that_is_no_agent_is_answered_with_the_agents(name: str, expected: list[str]) -> None:
    running = {"sunny": {"resources_servers": {}}, "weather_agent": {"responses_api_agents": {}}, "seed": 1}
    require_agent(running, "weather_agent")
    with pytest.raises(ConfigError) as caught:
        require_agent(running, name)
    for text in ["where: agent_name", "known: weather_agent", *expected]:
        assert text in str(caught.value)
