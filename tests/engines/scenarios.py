"""Conversations of `vllm_model` with a real engine, recorded as the exchanges it makes, and replayed without one.

    python -m tests.engines.scenarios [weather ...]

Starts the engines and writes the recordings `vllm_model_<scenario>`.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nemo_gym.models.chat.tools import responses_tools
from nemo_gym.openai_utils import RawParams
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.serving.testing import serving_in_threads
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.raw_json import encode
from responses_api_models.vllm_model.app import VLLMModel, VLLMModelConfig
from tests.engines.cases.requests import CAPITAL, DICTATED, HI, MODEL, PLACE, TOOLS
from tests.engines.engine import API_KEY, PROFILES, Engine
from tests.engines.record import forget_prompts, send
from tests.engines.recordings import Call, Exchange, Recording, save
from tests.engines.setup_engines import EnginesHome
from tests.free_port import free_port

Answers = list[JsonObject]
_TOOLS = responses_tools(TOOLS)


@dataclass(frozen=True)
class Scenario:
    """A conversation.

    Attributes:
        profile: Of the engine.
        play: Has it with a model server; returns the Responses, oldest first.
        settings: Of the model server.
    """

    profile: str
    play: Callable[[VLLMModel], Awaitable[Answers]]
    settings: JsonObject = field(default_factory=dict)


async def ask(model: VLLMModel, items: Sequence[Any], **params: Any) -> JsonObject:
    """Return the model server's Response, decoded."""
    body = {"input": list(items), "temperature": 0, "max_output_tokens": 60, **params}
    answer: JsonObject = json.loads((await model.responses(RawParams(encode(body)))).json_text)
    return answer


async def converse(model: VLLMModel, start: Sequence[Any], steps: Sequence[JsonObject], say: str) -> Answers:
    """Ask once for each of `steps`, which are further parameters; calls are answered with `say`, messages too."""
    items, answers = list(start), Answers()
    for params in steps:
        answers.append(answer := await ask(model, items, **params))
        items += answer["output"]
        calls = [item for item in answer["output"] if item["type"] == "function_call"]
        items += [{"type": "function_call_output", "call_id": call["call_id"], "output": say} for call in calls]
        items += [] if calls else [{"role": "user", "content": say}]
    return answers


async def _weather(model: VLLMModel) -> Answers:
    forced = {"tools": _TOOLS, "tool_choice": "required"}
    return await converse(model, DICTATED, [forced, forced, {"tools": _TOOLS}], "18 degrees, sunny")


async def _cut_off(model: VLLMModel) -> Answers:
    return await converse(model, CAPITAL, [{"max_output_tokens": 4}, {"max_output_tokens": 8}], "Go on.")


async def _reasoning(model: VLLMModel) -> Answers:
    return await converse(model, CAPITAL, [{"max_output_tokens": 8}, {"max_output_tokens": 8}], "Are you sure?")


async def _without_limit(model: VLLMModel) -> Answers:
    return await converse(model, CAPITAL, [{"max_output_tokens": None}] * 2, "Thanks. Say goodbye.")


async def _json_schema(model: VLLMModel) -> Answers:
    text = {"format": {"type": "json_schema", "name": "place", "schema": PLACE, "strict": True}}
    return [await ask(model, HI, text=text)]


async def _stop_text(model: VLLMModel) -> Answers:
    return [await ask(model, CAPITAL, stop=[" France"])]


_WITH_TOKENS = {"return_token_id_information": True}
SCENARIOS = {
    "weather": Scenario("vllm_open", _weather, _WITH_TOKENS),
    "cut_off": Scenario("vllm_open", _cut_off, _WITH_TOKENS),
    "without_limit": Scenario("vllm_open", _without_limit, _WITH_TOKENS),
    "json_schema": Scenario("vllm_open", _json_schema, _WITH_TOKENS),
    "stop_text": Scenario("vllm_open", _stop_text, _WITH_TOKENS),
    "reasoning": Scenario("vllm_reasoning", _reasoning, {**_WITH_TOKENS, "uses_reasoning_parser": True}),
}


def vllm_model(address: str, **settings: Any) -> VLLMModel:
    """Return a model server in front of an endpoint."""
    server: JsonObject = {"host": "", "port": 0, "entrypoint": "", "name": "policy_model", "wait_for_engine_s": 30}
    endpoint = {"base_url": f"{address}/v1", "api_key": API_KEY, "model": MODEL}
    config = VLLMModelConfig(**{**server, **endpoint, **settings})
    return VLLMModel(config=config, server_client=MagicMock(spec=ServerClient))


class RecordingProxy:
    """Passes requests on to an engine, and its answers back as they are recorded: with the ids that every run has."""

    def __init__(self, client: httpx.Client) -> None:
        self.exchanges: list[Exchange] = []
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send_event: Send) -> None:
        """Pass on one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        text = await request.body()
        call = Call(method=request.method, path=request.url.path, body=json.loads(text) if text else None)
        answer = await asyncio.to_thread(send, self._client, call)
        self.exchanges.append(Exchange(call=call, answer=answer))
        body = json.dumps(answer.body) if not isinstance(answer.body, str) else answer.body
        await Response(body, answer.status, answer.headers)(scope, receive, send_event)


@contextmanager
def recording_proxy(engine: Engine) -> Iterator[tuple[RecordingProxy, str]]:
    """Serve a proxy in front of an engine; gives it and its address."""
    with engine.client() as client, serving_in_threads() as serve:
        forget_prompts(client)
        proxy = RecordingProxy(client)
        yield proxy, f"http://127.0.0.1:{serve(proxy)}"


async def play(scenario: Scenario, address: str) -> Answers:
    """Have a scenario's conversation with what serves at an address; returns its Responses."""
    try:
        return await scenario.play(vllm_model(address, **scenario.settings))
    finally:
        await close_global_aiohttp_client()


def record(engine: Engine, name: str) -> None:
    """Record a scenario."""
    scenario = SCENARIOS[name]
    with recording_proxy(engine) as (proxy, address):
        asyncio.run(play(scenario, address))
    engine_name, profile = engine.profile.engine, scenario.profile
    save(Recording(name=f"vllm_model_{name}", engine=engine_name, profile=profile, exchanges=proxy.exchanges))


def main(names: Sequence[str]) -> None:
    """Record the named scenarios; all when there are none."""
    wanted = names or list(SCENARIOS)
    for profile in dict.fromkeys(SCENARIOS[name].profile for name in wanted):
        with tempfile.TemporaryDirectory() as folder:
            engine = Engine(PROFILES[profile], EnginesHome.from_environment(), free_port(), Path(folder) / "log")
            try:
                engine.start()
                for name in wanted:
                    if SCENARIOS[name].profile == profile:
                        record(engine, name)
            finally:
                engine.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
