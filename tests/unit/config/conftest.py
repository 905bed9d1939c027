"""A folder with three tiny components, their configuration files and an `env.yaml`, to load from."""

from pathlib import Path

import pytest

WEATHER = """
weather:
  resources_servers:
    weather_station:
      entrypoint: app.py
      domain: agent
weather_agent:
  responses_api_agents:
    loop_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: weather}
      model_server: {type: responses_api_models, name: policy_model}
      datasets: [{name: example, type: example, jsonl_fpath: data/example.jsonl}]
"""
MODEL = """
policy_model:
  responses_api_models:
    remote_model:
      entrypoint: app.py
      base_url: ${policy_base_url}
      api_key: ${policy_api_key}
"""
ENV = """
policy_base_url: http://127.0.0.1:9/v1
policy_api_key: sk-canary
both: [weather.yaml, model.yaml]
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder; in it `weather.yaml`, `model.yaml`, `env.yaml` and the components they name."""
    monkeypatch.chdir(tmp_path)
    for component in (
        "resources_servers/weather_station",
        "responses_api_agents/loop_agent",
        "responses_api_models/remote_model",
    ):
        (tmp_path / component).mkdir(parents=True)
        (tmp_path / component / "app.py").touch()
    (tmp_path / "weather.yaml").write_text(WEATHER)
    (tmp_path / "model.yaml").write_text(MODEL)
    (tmp_path / "env.yaml").write_text(ENV)
    return tmp_path
