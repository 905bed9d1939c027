"""`vllm_model` and its endpoints: both APIs, several endpoints, restarts, failures."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi.testclient import TestClient
from starlette.responses import JSONResponse

from nemo_gym.models.chat.tools import responses_tools
from nemo_gym.openai_utils import NeMoGymChatCompletion, NeMoGymResponse
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.serving.testing import serve_in_thread
from nemo_gym.wire.failure import RolloutError
from responses_api_models.vllm_model.app import VLLMModelConfig
from responses_api_models.vllm_model.tests.conftest import Endpoints, model_server
from tests.engines.cases.requests import TOOLS
from tests.free_port import free_port

Start = Callable[..., Endpoints]
FOLDER = Path(__file__).parent.parent
CALL = {"call": {"name": "get_weather", "arguments": {"city": "Rome"}}}


@contextmanager
def scripted_process() -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Start an endpoint as a process of its own; gives it and its address."""
    command = [sys.executable, "-m", "responses_api_models.scripted_model.serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().removeprefix("listening on ").strip()
        process.kill()


async def failure(endpoints: Endpoints, items: Any = "hi", **params: Any) -> Any:
    with pytest.raises(RolloutError) as caught:
        await endpoints.ask(items, **params)
    assert "canary" not in caught.value.failure.model_dump_json()
    return caught.value.failure


async def test_a_chat_endpoint_answers_a_responses_request(start: Start) -> None:
    endpoints = start(default_answer={"message": "hello"}, server={"extra_body": {"top_k": 3}})
    answer = await endpoints.ask([{"role": "user", "content": "hi"}], max_output_tokens=9)
    assert NeMoGymResponse.model_validate(answer).output_text == "hello"
    (asked,) = endpoints.requests()
    assert asked == {
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 9,
        "model": "the-model",
        "top_k": 3,
    }


def test_the_chat_route_answers_a_chat_request(start: Start) -> None:
    endpoints = start(default_answer=CALL)
    body = {"messages": [{"role": "user", "content": "hi"}]}
    with TestClient(endpoints.model.setup_webserver()) as client:
        completion = NeMoGymChatCompletion.model_validate(client.post("/v1/chat/completions", json=body).json())
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.name == "get_weather"


async def test_settings_of_the_chat_template_and_roles_reach_the_engine(start: Start) -> None:
    settings = {"replace_developer_role_with_system": True, "chat_template_kwargs": {"enable_thinking": False}}
    endpoints = start(server=settings)
    await endpoints.ask([{"role": "developer", "content": "Be brief."}])
    (asked,) = endpoints.requests()
    assert asked["messages"] == [{"role": "system", "content": "Be brief."}]
    assert asked["chat_template_kwargs"] == {"enable_thinking": False}


async def test_calls_of_one_conversation_stay_at_one_endpoint_and_others_are_spread(start: Start) -> None:
    endpoints = start(count=2, default_answer={"message": "one"})
    conversations = [[{"role": "user", "content": f"conversation {number}"}] for number in range(4)]
    for step in range(3):
        for number, items in enumerate(conversations):
            items += (await endpoints.ask(items))["output"]
            # Different texts: what an answer says is how its conversation is known.
            items[-1]["content"][0]["text"] = text = f"answer {number} {step}"
            assert text
            items.append({"role": "user", "content": "go on"})
    assert [len(endpoints.requests(index)) for index in (0, 1)] == [6, 6]


async def test_tool_calls_keep_a_conversation_at_its_endpoint(start: Start) -> None:
    endpoints = start(count=2, default_answer=CALL)
    conversations = [[{"role": "user", "content": f"conversation {number}"}] for number in range(2)]
    for _ in range(4):
        for items in conversations:
            items += (await endpoints.ask(items))["output"]
            items.append({"type": "function_call_output", "call_id": items[-1]["call_id"], "output": "sunny"})
    firsts = [{asked["messages"][0]["content"] for asked in endpoints.requests(index)} for index in (0, 1)]
    assert sorted(map(sorted, firsts)) == [["conversation 0"], ["conversation 1"]]


def test_endpoints_are_listed_and_replaced_while_the_server_runs(start: Start) -> None:
    endpoints = start(count=2)
    alone = model_server(endpoints.addresses[:1])
    with TestClient(alone.setup_webserver()) as client:
        replaced = client.post("/endpoints", json={"base_url": f"{endpoints.addresses[1]}/v1"})
        assert replaced.status_code == 200, replaced.text
        assert [one["url"] for one in client.get("/endpoints").json()] == [f"{endpoints.addresses[1]}/v1"]
        client.post("/v1/responses", json={"input": "hi"}).raise_for_status()
        for wrong in ({"base_url": []}, {"base_url": "nowhere"}, {}):
            assert client.post("/endpoints", json=wrong).status_code == 422
    assert [len(endpoints.requests(index)) for index in (0, 1)] == [0, 1]


@pytest.mark.parametrize("meanwhile", ["refuse", "hang_up"])
async def test_an_engine_whose_weights_are_swapped_is_waited_for(start: Start, meanwhile: str) -> None:
    endpoints = start(server={"wait_for_engine_s": 60, "return_token_id_information": True})
    endpoints.update_weights(version=8, for_s=0.5, meanwhile=meanwhile)
    answer = await endpoints.ask()
    assert answer["output"][-1]["weight_versions"][0]["version"] == "8"


async def test_an_engine_that_never_comes_back_is_not_waited_for_longer_than_said(start: Start) -> None:
    endpoints = start()
    endpoints.update_weights(for_s=None, meanwhile="refuse")
    assert (await failure(endpoints)).kind == "model_unavailable"


async def test_an_engine_that_was_never_reached_is_not_waited_for_as_one_that_is_restarted() -> None:
    endpoints = Endpoints([], model_server([f"http://127.0.0.1:{free_port()}"], wait_for_engine_s=100_000))
    found = await failure(endpoints)
    assert (found.kind, "within 15 s" in found.reason) == ("transport_unreachable", True)


async def test_an_engine_that_was_reached_and_is_gone_is_waited_for_as_long_as_said() -> None:
    with scripted_process() as (process, address):
        endpoints = Endpoints([address], model_server([address], wait_for_engine_s=0.7))
        answer = await endpoints.ask()
        process.kill()
    assert answer["status"] == "completed"
    found = await failure(endpoints)
    assert (found.kind, "(0.7 s)" in found.reason) == ("transport_unreachable", True)


@pytest.mark.parametrize(
    ("settings", "kind", "says"),
    [
        pytest.param({"apis": ["responses"]}, "model_bad_request", "no such route", id="route"),
        pytest.param(
            {"unknown_model_error": "vllm", "model_name": "another"}, "model_bad_request", "the-model", id="name"
        ),
        pytest.param({"api_key": "sk-other"}, "model_auth", "401", id="key"),
    ],
)
async def test_an_endpoint_that_does_not_fit_is_said_in_one_line(
    start: Start, settings: dict[str, Any], kind: str, says: str
) -> None:
    found = await failure(start(**settings))
    assert found.kind == kind
    assert says in found.reason
    assert "\n" not in found.reason


async def test_a_base_url_without_its_v1_is_said(start: Start) -> None:
    endpoints = start(server={"base_url": "http://127.0.0.1:1"})
    endpoints.model._client.endpoints.replace([endpoints.addresses[0]])
    assert "base URLs usually end in /v1" in (await failure(endpoints)).reason


async def test_what_chat_has_no_words_for_is_refused_by_name(start: Start) -> None:
    endpoints = start()
    found = await failure(endpoints, previous_response_id="resp_1")
    assert (found.kind, "previous_response_id" in found.reason) == ("model_bad_request", True)
    assert endpoints.requests() == []


async def test_tools_reach_an_engine_whose_template_shows_them(start: Start) -> None:
    endpoints = start(default_answer=CALL)
    answer = await endpoints.ask(tools=responses_tools(TOOLS))
    assert answer["output"][0]["name"] == "get_weather"


async def test_an_engine_whose_template_leaves_tools_out_is_said_before_it_generates() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        # `/tokenize` of an engine that was started with a template without tools: the same prompt either way.
        if scope["type"] == "http":
            await JSONResponse({"tokens": [1, 2], "count": 2})(scope, receive, send)

    with serve_in_thread(app) as port:
        endpoints = Endpoints([], model_server([f"http://127.0.0.1:{port}"]))
        found = await failure(endpoints, tools=responses_tools(TOOLS))
        await close_global_aiohttp_client()
    assert (found.kind, "leaves tools out" in found.reason) == ("model_bad_request", True)


@pytest.mark.parametrize("name", ["vllm_model", "vllm_model_for_training"])
def test_the_shipped_configurations_have_the_settings_of_the_server(name: str) -> None:
    shipped = yaml.safe_load((FOLDER / f"configs/{name}.yaml").read_text())
    settings = shipped["policy_model"]["responses_api_models"]["vllm_model"]
    config = VLLMModelConfig(host="h", port=1, name="policy_model", **settings)
    assert config.return_token_id_information == (name == "vllm_model_for_training")


def test_token_routes_are_passed_on(start: Start) -> None:
    endpoints = start()
    with TestClient(endpoints.model.setup_webserver()) as client:
        assert client.post("/tokenize", json={"prompt": "hi"}).json()["tokens"] == [104, 105]
    assert httpx.get(f"{endpoints.addresses[0]}/script/stats").json()["requests"] == 0
