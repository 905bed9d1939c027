"""The official `openai` client, sync and async, at each of our servers: it parses what they answer."""

from collections.abc import Iterator
from typing import Any

import pytest
from omegaconf import DictConfig
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from starlette.types import ASGIApp

from nemo_gym.config_types import ModelServerRef, ResourcesServerRef
from nemo_gym.server_utils import BaseServerConfig, ServerClient
from nemo_gym.servers.serving.testing import serving_in_threads
from resources_servers.example_simple_weather.app import SimpleWeatherConfig, SimpleWeatherServer
from responses_api_agents.simple_agent.app import SimpleAgent, SimpleAgentConfig
from responses_api_models.openai_model.app import OpenAIModel, OpenAIModelConfig
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig
from responses_api_models.vllm_model.app import VLLMModel, VLLMModelConfig

HERE: dict[str, Any] = {"host": "", "port": 0, "entrypoint": ""}
RULES: list[dict[str, Any]] = [
    {"when": {"last_user_matches": "JSON"}, "answer": {"message": '{"city": "Rome", "degrees": 18}'}},
    {
        "when": {"last_user_matches": "weather"},
        "answer": {"call": {"name": "get_weather", "arguments": {"city": "Rome"}}},
    },
]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {"name": "get_weather", "description": "Weather of a city.", "parameters": PARAMETERS, "strict": True}
MODELS = ("scripted", "openai_responses", "openai_chat", "vllm", "vllm_with_tokens")


class Place(BaseModel):
    """What the model is asked to write."""

    city: str
    degrees: int


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """Base URLs by server, the scripted model behind each."""
    client = ServerClient(BaseServerConfig(host="", port=1), DictConfig({}))
    found: dict[str, str] = {}
    with serving_in_threads() as serve:

        def add(name: str, kind: str, app: ASGIApp) -> None:
            port = serve(app)
            client.global_config_dict[name] = {kind: {"impl": {"host": "127.0.0.1", "port": port}}}
            found[name] = f"http://127.0.0.1:{port}/v1"

        def openai_model(name: str, api: str) -> ASGIApp:
            endpoint = {"openai_base_url": found["scripted"], "openai_api_key": "k", "openai_model": "m", "api": api}
            return OpenAIModel(
                config=OpenAIModelConfig(**HERE, name=name, **endpoint), server_client=client
            ).setup_webserver()

        def vllm_model(name: str, with_tokens: bool) -> ASGIApp:
            endpoint = {"base_url": found["scripted"], "model": "m", "return_token_id_information": with_tokens}
            return VLLMModel(
                config=VLLMModelConfig(**HERE, name=name, **endpoint), server_client=client
            ).setup_webserver()

        models = "responses_api_models"
        scripted = ScriptedModelConfig(**HERE, name="scripted", rules=RULES, default_answer={"message": "hello"})
        add("scripted", models, ScriptedModel(config=scripted, server_client=client).setup_webserver())
        add("openai_responses", models, openai_model("openai_responses", "responses"))
        add("openai_chat", models, openai_model("openai_chat", "chat"))
        add("vllm", models, vllm_model("vllm", False))
        add("vllm_with_tokens", models, vllm_model("vllm_with_tokens", True))
        weather = SimpleWeatherServer(config=SimpleWeatherConfig(**HERE, name="env"), server_client=client)
        add("env", "resources_servers", weather.setup_webserver())
        agent = SimpleAgentConfig(
            **HERE,
            name="agent",
            resources_server=ResourcesServerRef(name="env"),
            model_server=ModelServerRef(name="vllm"),
            max_steps=2,
        )
        add("agent", "responses_api_agents", SimpleAgent(config=agent, server_client=client).setup_webserver())
        yield found


@pytest.mark.parametrize("name", [*MODELS, "agent"])
def test_responses_create_is_parsed(addresses: dict[str, str], name: str) -> None:
    with OpenAI(base_url=addresses[name], api_key="k", max_retries=0) as client:
        answer = client.responses.create(model="m", input="hi", temperature=0.5, max_output_tokens=20)
    assert answer.output_text == "hello"
    assert answer.status == "completed"
    assert answer.usage is not None


@pytest.mark.parametrize("name", [*MODELS, "agent"])
async def test_responses_create_with_a_tool_is_parsed_by_the_async_client(addresses: dict[str, str], name: str) -> None:
    tool: Any = {"type": "function", **FUNCTION}
    async with AsyncOpenAI(base_url=addresses[name], api_key="k", max_retries=0) as client:
        answer = await client.responses.create(model="m", input="How is the weather?", tools=[tool])
    call = answer.output[0]
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("get_weather", '{"city":"Rome"}')
    if name == "agent":
        assert answer.output[1].type == "function_call_output"


@pytest.mark.parametrize("name", MODELS)
def test_responses_parse_gives_an_instance_of_the_class(addresses: dict[str, str], name: str) -> None:
    with OpenAI(base_url=addresses[name], api_key="k", max_retries=0) as client:
        answer = client.responses.parse(model="m", input="Answer in JSON.", text_format=Place)
    assert answer.output_parsed == Place(city="Rome", degrees=18)


@pytest.mark.parametrize("name", MODELS)
def test_chat_completions_create_is_parsed_with_tools_and_their_results(addresses: dict[str, str], name: str) -> None:
    tool: Any = {"type": "function", "function": FUNCTION}
    messages: list[Any] = [{"role": "user", "content": "How is the weather?"}]
    with OpenAI(base_url=addresses[name], api_key="k", max_retries=0) as client:
        first = client.chat.completions.create(model="m", messages=messages, tools=[tool])
        assert first.choices[0].message.tool_calls is not None
        (call,) = first.choices[0].message.tool_calls
        assert call.type == "function"
        assert call.function.arguments == '{"city":"Rome"}'
        result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        messages += [first.choices[0].message, result, {"role": "user", "content": "Thanks."}]
        second = client.chat.completions.create(model="m", messages=messages, tools=[tool])
    assert second.choices[0].message.content == "hello"
    assert second.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("name", MODELS)
async def test_chat_completions_create_is_parsed_by_the_async_client(addresses: dict[str, str], name: str) -> None:
    async with AsyncOpenAI(base_url=addresses[name], api_key="k", max_retries=0) as client:
        answer = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], seed=3)
    assert answer.choices[0].message.content == "hello"
