"""What a policy writes reaches the tools its rollout declares, and nothing else: the real agent, over real sockets."""

import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI, Request
from omegaconf import DictConfig
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.config_types import ModelServerRef, ResourcesServerRef
from nemo_gym.server_utils import BaseServerConfig, ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.serving.testing import serving_in_threads
from responses_api_agents.simple_agent.app import SimpleAgent, SimpleAgentConfig
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig

SEED = 20_240_607
FUZZED_NAMES = 8_000
FUZZED_ARGUMENTS = 2_000
CALLS_PER_STEP = 500
REQUESTS_OF_THE_AGENT = ["/seed_session", "/tools", "/verify", "/close_session"]

HOSTILE_NAMES = [
    "verify", "seed_session", "next_turn", "close_session", "health", "tools", "docs", "openapi.json", "redoc", "", "/",
    ".", "..", "next_turn/", "../next_turn",
    "../x", "../verify", "tools/../verify", "%2e%2e%2fverify", "..%2fverify", "verify?x=1", "verify#x", "verify/",
    "/verify", "//verify", "//evil", "get_weather/../verify", "get_weather/..%2fverify", "get_weather?x=1",
    "get_weather#", "get_weather/", "get_weather;verify", "get_weather\\..\\verify", "http:verify",
    "http://127.0.0.1:1/",
    "Verify", "VERIFY", "verify ", " verify", "verify\t", "verify\n", "verify\0", "\0", "verify\r\nHost: evil",
    "\uff56\uff45\uff52\uff49\uff46\uff59", "v\u0435rify", "get_w\u0435ather", "get_weather\u200b", "verify\u2024",
    "\u2025/verify", "get\uff3fweather", "\u1d65erify",
    "x" * 10_000, "../" * 3_000, "get_weather" * 900, "@", "user@127.0.0.1", "[::1]", "None", "__class__",
    "{item}", "💥",
]  # fmt: skip
HOSTILE_ARGUMENTS = [
    "", "{}", "null", "[]", "3", '"text"', "{", '{"city": }', "{'city': 'x'}", '{"city": "\\ud800"}', '{"city": null}',
    '{"city": ["x"]}', '{"city": {"$ref": "x"}}', '{"city": "' + "x" * 10_000 + '"}', '{"city": "../../verify"}',
    '{"__class__": "x"}', '{"city": "x", "reward": 1}', "\0", '{"city": "\\u0000"}', "[" * 5_000, '{"a":' * 3_000,
    '{"city": 1e999}', '{"city": NaN}', "//evil", "http://127.0.0.1:1/", '{"city": "x"} {"city": "y"}',
]  # fmt: skip
DECLARED = [
    "get_weather",
    "not_offered",
    "verify",
    "seed_session",
    "next_turn",
    "close_session",
    "health",
    "../verify",
    "a/b",
    ".",
    "%2e",
]


class City(BaseModel):
    city: str = Field(max_length=200)


class WeatherServer(SimpleResourcesServer):
    """Two tools, of which rollouts declare one; and a route for its operator, which isn't a tool."""

    config: BaseResourcesServerConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/get_weather")(self.get_weather)
        app.post("/secret_tool")(self.secret_tool)
        app.post("/not_a_tool", include_in_schema=False)(self.secret_tool)
        return app

    async def seed_session(self, request: Request) -> dict[str, Any]:
        return {}

    async def get_weather(self, body: City) -> dict[str, str]:
        return {"city": body.city, "weather": "cold"}

    async def secret_tool(self) -> dict[str, str]:
        return {"reward": "raised"}

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        return BaseVerifyResponse(**body.model_dump(), reward=0.0)


class RequestLog:
    """Writes down the method and the path, as it came over the wire, of every request to an app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.seen: list[tuple[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.seen.append((scope["method"], scope["raw_path"].decode()))
        await self._app(scope, receive, send)


class Rollouts:
    """Agent, environment and scripted model on ports of their own."""

    def __init__(self, client: ServerClient, log: RequestLog) -> None:
        self._client = client
        self.log = log

    async def play(self, calls: list[dict[str, Any]], declared: list[str] = DECLARED) -> list[str]:
        """Let the policy make these calls in one rollout; return the results it read."""
        steps = [{"calls": calls[i : i + CALLS_PER_STEP]} for i in range(0, len(calls), CALLS_PER_STEP)]
        tools = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in declared]
        params = {"input": "hi", "tools": tools, "metadata": {"script": json.dumps([*steps, {"message": "Done."}])}}
        answer = await self._client.post("agent", "/run", json={"responses_create_params": params})
        row = await answer.json()
        assert answer.status == 200, row
        output = row["response"]["output"]
        return [item["output"] for item in output if item["type"] == "function_call_output"]


@pytest.fixture
def rollouts() -> Iterator[Rollouts]:
    here: dict[str, Any] = {"host": "", "port": 0, "entrypoint": ""}
    client = ServerClient(BaseServerConfig(host="", port=1), DictConfig({}))
    environment = WeatherServer(config=BaseResourcesServerConfig(**here, name="env"), server_client=client)
    model = ScriptedModel(config=ScriptedModelConfig(**here, name="model"), server_client=client)
    refs = {"resources_server": ResourcesServerRef(name="env"), "model_server": ModelServerRef(name="model")}
    agent = SimpleAgent(config=SimpleAgentConfig(**here, name="agent", **refs), server_client=client)
    log = RequestLog(environment.setup_webserver())
    with serving_in_threads() as serve:
        for name, kind, app in (
            ("env", "resources_servers", log),
            ("model", "responses_api_models", model.setup_webserver()),
            ("agent", "responses_api_agents", agent.setup_webserver()),
        ):
            client.global_config_dict[name] = {kind: {"impl": {"host": "127.0.0.1", "port": serve(app)}}}
        yield Rollouts(client, log)


@pytest_asyncio.fixture(autouse=True)
async def _closed_client(rollouts: Rollouts) -> AsyncIterator[None]:
    yield
    await close_global_aiohttp_client()


def _fuzzed_name(draw: random.Random) -> str:
    """A hostile name bent a little, two of them joined, or noise."""
    kind = draw.random()
    if kind < 0.4:
        name = draw.choice(HOSTILE_NAMES)
        at = draw.randrange(len(name) + 1)
        return (
            name[:at] + draw.choice(["/", "%2f", "..", "?", "#", "\0", "\n", " ", "\u200b", ":", "@", "é"]) + name[at:]
        )
    if kind < 0.7:
        return draw.choice(["", "/", "../", "%2f", "?"]).join(draw.choice(HOSTILE_NAMES)[:300] for _ in range(2))
    return "".join(chr(draw.choice([draw.randrange(128), draw.randrange(0xD7FF)])) for _ in range(draw.randrange(60)))


def _fuzzed_arguments(draw: random.Random) -> str:
    text = draw.choice(HOSTILE_ARGUMENTS)
    at = draw.randrange(min(len(text), 100) + 1)
    return (
        text[:at]
        + draw.choice(["", "", "{", "}", '"', "\\", "\0", ",", ":", "1", "é"])
        + text[at + draw.randrange(2) :]
    )


def _is_polite(result: str) -> bool:
    """An error as the policy reads it: JSON, with a sentence, and no traceback."""
    decoded = json.loads(result)
    return list(decoded) == ["error"] and len(decoded["error"]) > 10 and "Traceback" not in decoded["error"]


async def test_eight_thousand_names_reach_nothing_but_the_declared_tool(rollouts: Rollouts) -> None:
    draw = random.Random(SEED)
    names = [*HOSTILE_NAMES, *(_fuzzed_name(draw) for _ in range(FUZZED_NAMES - len(HOSTILE_NAMES)))]
    names = [name for name in names if name not in ("get_weather", "not_offered")]
    results = await rollouts.play([{"name": name, "arguments": {"city": "Oslo"}} for name in names])
    assert len(results) == len(names) > 7_900
    assert [result for result in results if not _is_polite(result)] == []
    assert [path for _, path in rollouts.log.seen] == REQUESTS_OF_THE_AGENT


async def test_two_thousand_arguments_reach_the_tool_as_its_body_or_not_at_all(rollouts: Rollouts) -> None:
    draw = random.Random(SEED)
    texts = [*HOSTILE_ARGUMENTS, *(_fuzzed_arguments(draw) for _ in range(FUZZED_ARGUMENTS - len(HOSTILE_ARGUMENTS)))]
    results = await rollouts.play([{"name": "get_weather", "arguments": text} for text in texts])
    assert len(results) == FUZZED_ARGUMENTS
    assert all(_is_polite(result) or "weather" in json.loads(result) for result in results)
    reached = Counter(path for _, path in rollouts.log.seen)
    assert reached.pop("/get_weather") > 100
    assert reached == Counter(REQUESTS_OF_THE_AGENT)


async def test_what_the_row_declares_under_a_name_of_ours_stays_out_of_reach(rollouts: Rollouts) -> None:
    results = await rollouts.play([{"name": name, "arguments": {}} for name in DECLARED[2:]])
    assert all(map(_is_polite, results))
    assert [path for _, path in rollouts.log.seen] == REQUESTS_OF_THE_AGENT


@pytest.mark.parametrize("name", ["not_offered", "not_a_tool"])
async def test_a_declared_tool_that_the_environment_does_not_offer_sends_no_request(
    rollouts: Rollouts, name: str
) -> None:
    (result,) = await rollouts.play([{"name": name, "arguments": {}}], declared=["get_weather", name])
    assert _is_polite(result)
    assert ("POST", f"/{name}") not in rollouts.log.seen


async def test_a_tool_of_the_environment_that_the_row_does_not_declare_is_not_called(rollouts: Rollouts) -> None:
    assert _is_polite((await rollouts.play([{"name": "secret_tool", "arguments": {}}]))[0])
    assert ("POST", "/secret_tool") not in rollouts.log.seen


async def test_a_rollout_that_declares_nothing_reaches_nothing(rollouts: Rollouts) -> None:
    results = await rollouts.play([{"name": name, "arguments": {}} for name in HOSTILE_NAMES], declared=[])
    assert all(map(_is_polite, results))
    assert [path for _, path in rollouts.log.seen] == [path for path in REQUESTS_OF_THE_AGENT if path != "/tools"]
