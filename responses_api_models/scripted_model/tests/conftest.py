"""The scripted model in two forms: in process for its answers, as a process for what only a socket can show."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml

from responses_api_models.scripted_model.endpoint import ScriptedEndpoint
from responses_api_models.scripted_model.settings import ScriptedSettings

SERVE = [sys.executable, "-m", "responses_api_models.scripted_model.serve", "--port", "0"]


@pytest.fixture
def client_for() -> Callable[..., httpx.AsyncClient]:
    """Return a function from settings to a client of an endpoint in this process."""

    def make(**settings: Any) -> httpx.AsyncClient:
        app = ScriptedEndpoint(ScriptedSettings.model_validate(settings))
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://scripted")

    return make


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Return a function that starts an endpoint process with settings and gives the process and its URL."""
    folder = tmp_path_factory.mktemp("scripted")
    started: list[subprocess.Popen[str]] = []

    def start_one(*options: str, **settings: Any) -> tuple[subprocess.Popen[str], str]:
        config = folder / f"{len(started)}.yaml"
        config.write_text(yaml.safe_dump(settings))
        command = [*SERVE, "--config", str(config), *options]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().removeprefix("listening on ").strip()

    yield start_one
    for process in started:
        process.kill()
        process.communicate()
