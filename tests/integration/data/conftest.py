"""What tests of data commands share: a project with a small dataset, and a hub on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.servers.serving.testing import serve_in_thread
from tests.integration.data.hub_server import TOKEN, HubState, hub_app

SERVERS = """
example_simple_weather:
  resources_servers:
    example_simple_weather: {entrypoint: app.py, domain: agent}
weather_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: example_simple_weather}
      model_server: {type: responses_api_models, name: policy_model}
      datasets:
"""


def task(number: int, **more: Any) -> dict[str, Any]:
    """Return a task row."""
    return {"responses_create_params": {"input": f"How is the weather in city {number}?"}, "number": number, **more}


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def configure(project: Path, *datasets: str, name: str = "weather.yaml") -> str:
    """Write a configuration of one agent with these datasets, each in YAML's flow style; return its name."""
    (project / name).write_text(SERVERS + "".join(f"        - {{{dataset}}}\n" for dataset in datasets))
    return name


SOURCE = "license: Apache 2.0, huggingface_identifier: {repo_id: acme/weather}"


@pytest.fixture
def hub(environment: dict[str, str], project: Path) -> Iterator[HubState]:
    """A hub that the commands of this test talk to, whose token is in the project's env.yaml."""
    state = HubState()
    with serve_in_thread(hub_app(state)) as port:
        state.url = f"http://127.0.0.1:{port}"
        environment["HF_ENDPOINT"] = state.url
        environment["HF_HUB_DISABLE_XET"] = "1"  # another protocol for large files, which this hub doesn't speak
        environment["HF_HOME"] = str(project.parent / "hf_home")
        (project / "env.yaml").write_text(f"hf_token: {TOKEN}\n")
        yield state
