"""An endpoint that doesn't fit `vllm_model` ends a collection before its first task, and says what to change."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from nemo_gym.servers.serving.testing import serve_in_thread
from tests.chaos.processes import Place, endpoint
from tests.free_port import free_port
from tests.integration.conftest import ROOT, Command

pytestmark = pytest.mark.integration
WEATHER = ROOT / "resources_servers/example_simple_weather"
MISTAKE_STATUS = 2


def _collect(command: Command, base_url: str) -> Any:
    return command(
        "ng_e2e_collect_rollouts",
        str(WEATHER / "configs/simple_weather.yaml"),
        str(ROOT / "responses_api_models/vllm_model/configs/vllm_model.yaml"),
        f"+policy_base_url={base_url}",
        "+policy_api_key=sk-canary",
        "+policy_model_name=the-model",
        "+agent_name=simple_weather_simple_agent",
        f"+input_jsonl_fpath={WEATHER}/data/example.jsonl",
        "+output_jsonl_fpath=rollouts.jsonl",
        f"+head_server.port={free_port()}",
    )


@pytest.mark.parametrize(
    ("settings", "path", "says"),
    [
        pytest.param({"apis": ["responses"]}, "/v1", "It has no such route", id="no-chat-route"),
        pytest.param(
            {"model_name": "other", "unknown_model_error": "vllm"}, "/v1", "`the-model` does not exist", id="name"
        ),
        pytest.param({"api_key": "sk-other"}, "/v1", "policy_api_key", id="key"),
        pytest.param({}, "", "base URLs usually end in /v1", id="without-v1"),
    ],
)
def test_an_endpoint_that_does_not_fit_ends_the_collection(
    command: Command, project: Path, home: Path, settings: dict[str, Any], path: str, says: str
) -> None:
    config = project / "endpoint.yaml"
    config.write_text(yaml.safe_dump({"default_answer": {"message": "hello"}, **settings}))
    with endpoint(Place(project, home), "--config", str(config)) as scripted:
        done = _collect(command, f"{scripted.url}{path}")
    assert done.status == MISTAKE_STATUS, done.err
    assert says in done.err
    assert "canary" not in done.err + done.out
    assert not (project / "rollouts.jsonl").exists()


def test_a_chat_template_without_tools_ends_the_collection(command: Command, project: Path) -> None:
    async def engine(scope: Scope, receive: Receive, send: Send) -> None:
        # Its `/tokenize` gives the same prompt with tools and without.
        if scope["type"] == "http":
            await JSONResponse({"tokens": [1, 2], "count": 2})(scope, receive, send)

    with serve_in_thread(engine) as port:
        done = _collect(command, f"http://127.0.0.1:{port}/v1")
    assert done.status == MISTAKE_STATUS, done.err
    assert "leaves tools out" in done.err


def test_nobody_at_the_url_ends_the_collection(command: Command) -> None:
    done = _collect(command, f"http://127.0.0.1:{free_port()}/v1")
    assert done.status == MISTAKE_STATUS, done.err
    assert "policy_base_url" in done.err
