"""The weather environment: its tool, its verdicts, its example tasks and its configuration."""

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import orjson
import pytest
import yaml
from fastapi.testclient import TestClient

from nemo_gym.base_resources_server import BaseRunRequest
from nemo_gym.server_utils import ServerClient
from resources_servers.example_simple_weather.app import SimpleWeatherConfig, SimpleWeatherServer

FOLDER = Path(__file__).parent.parent
MESSAGE = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "cold"}]}


@pytest.fixture
def server() -> SimpleWeatherServer:
    """The server as a unit test builds it."""
    config = SimpleWeatherConfig(host="", port=0, entrypoint="", name="")
    return SimpleWeatherServer(config=config, server_client=MagicMock(spec=ServerClient))


def call(arguments: str, name: str = "get_weather") -> dict[str, Any]:
    return {"type": "function_call", "call_id": "c", "name": name, "arguments": arguments}


def verify_request(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    response = {"id": "r", "created_at": 1, "model": "m", "output": list(output)}
    return {"responses_create_params": {"input": "hi"}, "response": response, **more}


async def test_the_weather_is_the_configured_one_everywhere(server: SimpleWeatherServer) -> None:
    assert await server.get_weather("Rome") == {"city": "Rome", "weather_description": "cold"}


@pytest.mark.parametrize(
    ("output", "expected_city", "reward"),
    [
        pytest.param([call('{"city": "Rome"}'), MESSAGE], "Rome", 1.0, id="looked-up-and-answered"),
        pytest.param([call('{"city": "Rome"}'), MESSAGE], None, 1.0, id="any-city-where-none-is-expected"),
        pytest.param([call('{"city": "Paris"}'), MESSAGE], "Rome", 0.0, id="another-city"),
        pytest.param([MESSAGE], None, 0.0, id="not-looked-up"),
        pytest.param([call('{"city": "Rome"}')], "Rome", 0.0, id="not-answered"),
        pytest.param([call("{broken"), MESSAGE], None, 0.0, id="broken-arguments"),
        pytest.param([call("[1]"), MESSAGE], None, 0.0, id="arguments-that-are-no-object"),
        pytest.param([call('{"city": "Rome"}', "get_time"), MESSAGE], None, 0.0, id="another-tool"),
        pytest.param([], None, 0.0, id="nothing-at-all"),
    ],
)
def test_the_reward_is_one_for_a_look_up_followed_by_a_message(
    server: SimpleWeatherServer, output: list[dict[str, Any]], expected_city: str | None, reward: float
) -> None:
    body = verify_request(*output, expected_city=expected_city)
    answer = TestClient(server.setup_webserver()).post("/verify", json=body)
    assert answer.json()["reward"] == reward


def test_the_verdict_repeats_the_request_and_whatever_else_the_row_had(server: SimpleWeatherServer) -> None:
    sent = verify_request(call('{"city": "Rome"}'), MESSAGE, expected_city="Rome", note={"deep": [1]})
    answer = TestClient(server.setup_webserver()).post("/verify", json=sent).json()
    assert {key: answer[key] for key in ("responses_create_params", "expected_city", "note", "reward")} == {
        "responses_create_params": {"input": "hi"},
        "expected_city": "Rome",
        "note": {"deep": [1]},
        "reward": 1.0,
    }
    assert [item["type"] for item in answer["response"]["output"]] == ["function_call", "message"]


def test_the_example_tasks_are_five_and_declare_the_tool_as_the_server_offers_it(server: SimpleWeatherServer) -> None:
    rows = [orjson.loads(line) for line in (FOLDER / "data/example.jsonl").read_bytes().splitlines()]
    (offered,) = TestClient(server.setup_webserver()).get("/tools").json()
    assert len(rows) == 5
    for row in rows:
        (tool,) = BaseRunRequest.model_validate(row).responses_create_params.tools
        assert (tool["name"], tool["description"]) == (offered["name"], offered["description"])
        assert list(tool["parameters"]["properties"]) == list(offered["parameters"]["properties"])


def test_the_shipped_configuration_has_the_settings_of_the_server() -> None:
    shipped = yaml.safe_load((FOLDER / "configs/simple_weather.yaml").read_text())
    settings = shipped["example_simple_weather"]["resources_servers"]["example_simple_weather"]
    config = SimpleWeatherConfig(host="h", port=1, name="example_simple_weather", **settings)
    assert config.domain == "agent"
