"""The commands and the Python of docs/mcp.md and docs/packages.md, as a reader would type them."""

import json
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import psutil
import pytest
import yaml

from nemo_gym.mcp_tools.settings import McpServerSettings
from tests.free_port import free_port
from tests.integration.conftest import COMMAND_BOUND_S, ROOT

pytestmark = pytest.mark.integration
EXAMPLE = ROOT / "docs" / "examples" / "letter_count"
MODEL = "policy_model: {responses_api_models: {scripted_model: {entrypoint: app.py, default_answer: {message: '3'}}}}"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), flags=re.DOTALL)


def test_an_environment_served_over_mcp_is_called_as_the_page_says(
    project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (start,), (client,) = blocks("mcp.md", "bash"), blocks("mcp.md", "python")
    (project / "env.yaml").write_text(f"head_server: {{host: 127.0.0.1, port: {free_port()}}}\n")
    log = tmp_path / "run.log"
    with log.open("wb") as out:
        run = subprocess.Popen(["bash", "-c", f"exec {start}"], cwd=project, env=environment, stdout=out, stderr=out)
    try:
        until = time.monotonic() + COMMAND_BOUND_S
        while "servers are ready" not in log.read_text():
            assert run.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        script = 'export TOKEN_FILE=$(ng_status +token_file=true); exec "$0" -c "$1"'
        done = subprocess.run(
            ["bash", "-euc", script, sys.executable, client],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_BOUND_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["['get_weather']", '{"city":"Paris","weather_description":"cold"}']
    finally:
        psutil.Process(run.pid).terminate()
        run.wait(COMMAND_BOUND_S)


def test_the_settings_of_mcp_servers_on_the_page_are_those_there_are() -> None:
    (shown,) = blocks("mcp.md", "yaml")
    servers = yaml.safe_load(shown)["example_mcp"]["resources_servers"]["example_mcp"]["mcp_servers"]
    assert [McpServerSettings.model_validate(server).name for server in servers] == ["shop", "elsewhere"]
    page = (ROOT / "docs/mcp.md").read_text()
    assert [name for name in McpServerSettings.model_fields if f"`{name}`" not in page] == []


def test_a_package_in_a_folder_is_collected_with_the_commands_of_the_page(
    project: Path, environment: dict[str, str]
) -> None:
    shutil.copytree(EXAMPLE / "letter_count", project / "letter_count")
    (project / "model.yaml").write_text(MODEL)
    (commands,) = blocks("packages.md", "bash")
    commands = commands.replace("agent_name=", f"head_server.port={free_port()} agent_name=")
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_BOUND_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (project / "rollouts.jsonl").read_text().splitlines()]
    assert sorted(row["reward"] for row in rows) == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_what_the_page_shows_of_the_package_is_in_it() -> None:
    (toml,), (config,) = blocks("packages.md", "toml"), blocks("packages.md", "yaml")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    for key, value in tomllib.loads(toml)["project"].items():
        assert project[key] == value
    real = yaml.safe_load((EXAMPLE / "letter_count/configs/letter_count.yaml").read_text())
    (server,) = real["letter_count"]["resources_servers"].values()
    (shown,) = yaml.safe_load(config)["letter_count"]["resources_servers"].values()
    assert {key: server[key] for key in shown} == shown
