"""Tools that an environment takes from MCP servers: real processes, and a real server from the package index."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from nemo_gym.config.errors import ConfigError
from nemo_gym.environments import tool
from nemo_gym.mcp_tools.settings import McpServerSettings
from tests.bounds import HANGS_AFTER_S
from tests.unit.mcp_tools.conftest import OnlyMcp, post, running, tools_of

Stdio = Callable[..., dict[str, Any]]
TIME = {"name": "time", "command": [sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC"]}


async def until_ended(pid: int) -> None:
    async with asyncio.timeout(HANGS_AFTER_S):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


async def test_a_server_of_the_package_index_is_listed_with_its_schemas_and_called() -> None:
    async with running(OnlyMcp, mcp_servers=[TIME]) as app:
        tools = await tools_of(app)
        assert {"get_current_time", "convert_time"} <= tools.keys()
        schema = tools["convert_time"]["parameters"]
        assert set(schema["required"]) == {"source_timezone", "time", "target_timezone"}
        arguments = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        answer = await post(app, "/convert_time", arguments)
    assert answer.status_code == 200
    assert "21:00" in answer.text


async def test_a_result_is_text_and_wrong_arguments_are_refused_in_words(stdio: Stdio) -> None:
    async with running(OnlyMcp, mcp_servers=[stdio()]) as app:
        right = await post(app, "/add", {"a": 1, "b": 2})
        wrong = await post(app, "/add", {"a": "x"})
    assert (right.status_code, right.text) == (200, "3")
    assert wrong.status_code == 400
    assert "valid integer" in wrong.json()["detail"]


async def test_a_server_that_dies_is_a_tool_failure_and_the_next_call_starts_it_again(
    stdio: Stdio, pid_file: Path
) -> None:
    async with running(OnlyMcp, mcp_servers=[stdio()]) as app:
        first = pid_file.read_text()
        died = await post(app, "/die", {})
        again = await post(app, "/add", {"a": 1, "b": 1})
        second = pid_file.read_text()
    assert died.status_code == 500
    assert died.json()["error"]["kind"] == "tool_error"
    assert "'test' broke off" in died.json()["error"]["reason"]
    assert again.text == "2"
    assert first != second


async def test_a_call_that_takes_too_long_is_a_tool_timeout_that_names_the_setting(stdio: Stdio) -> None:
    async with running(OnlyMcp, mcp_servers=[stdio(call_timeout_s=0.2)]) as app:
        answer = await post(app, "/wait", {})
    assert answer.json()["error"]["kind"] == "tool_timeout"
    assert "call_timeout_s" in answer.json()["error"]["reason"]


async def test_the_process_ends_with_the_environment(stdio: Stdio, pid_file: Path) -> None:
    async with running(OnlyMcp, mcp_servers=[stdio()]):
        pid = int(pid_file.read_text())
        assert psutil.pid_exists(pid)
    await until_ended(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="parent death signals are Linux's")
async def test_the_process_ends_with_an_environment_that_is_killed(tmp_path: Path) -> None:
    pid_file, stubborn = tmp_path / "pid", tmp_path / "stubborn.py"
    stubborn.write_text(
        f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()) + ';')\ntime.sleep(3600)\n"
    )
    code = (
        "import asyncio, pathlib\nfrom nemo_gym.mcp_tools.connection import McpConnection\n"
        "from nemo_gym.mcp_tools.settings import McpServerSettings\n"
        f"s = McpServerSettings(name='x', command=['python', {str(stubborn)!r}], start_timeout_s=3000)\n"
        "asyncio.run(McpConnection(s, pathlib.Path('.')).open())\n"
    )
    environment = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    async with asyncio.timeout(HANGS_AFTER_S):
        while not (pid_file.exists() and pid_file.read_text().endswith(";")):
            await asyncio.sleep(0.02)
    os.kill(environment.pid, signal.SIGKILL)
    await environment.wait()
    await until_ended(int(pid_file.read_text()[:-1]))


async def test_a_server_sees_no_token_of_the_run_and_what_env_gives_it(
    stdio: Stdio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEMO_GYM_RUN_TOKEN", "token-of-the-run")
    async with running(OnlyMcp, mcp_servers=[stdio(env={"GIVEN": "!"})]) as app:
        answer = await post(app, "/secret", {})
    assert answer.text == "none!"


async def test_tools_are_chosen_and_prefixed(stdio: Stdio) -> None:
    two = [stdio(tools=["add"]), stdio(name="other", tools=["add"], prefix="other_")]
    async with running(OnlyMcp, mcp_servers=two) as app:
        assert list(await tools_of(app)) == ["add", "other_add"]
        assert (await post(app, "/other_add", {"a": 2, "b": 2})).text == "4"


class WithOwnAdd(OnlyMcp):
    @tool
    def add(self, a: int) -> str:
        """Add."""
        return str(a)


@pytest.mark.parametrize(
    ("environment", "settings", "said"),
    [
        pytest.param(WithOwnAdd, {}, "two tools named 'add'", id="name-taken"),
        pytest.param(OnlyMcp, {"tools": ["ad"]}, "has no tool 'ad'", id="unknown-tool"),
        pytest.param(OnlyMcp, {"command": ["no-such-program-4711"]}, "'test' can't be used", id="no-program"),
        pytest.param(OnlyMcp, {"command": None, "url": "http://127.0.0.1:9/mcp"}, "'test' can't be used", id="no-url"),
        pytest.param(
            OnlyMcp,
            {"command": [sys.executable, "-c", "import time; time.sleep(3600)"], "start_timeout_s": 0.3},
            "start_timeout_s",
            id="silent",
        ),
    ],
)
async def test_what_is_wrong_with_a_server_ends_the_start_with_a_mistake(
    environment: type[OnlyMcp], settings: dict[str, Any], said: str, stdio: Stdio
) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        async with running(environment, mcp_servers=[stdio(**settings)]):
            pass
    assert "where: env.mcp_servers" in str(error.value)


def test_a_server_needs_a_command_or_a_url() -> None:
    for given in ({}, {"command": ["a"], "url": "http://b"}):
        with pytest.raises(ValidationError, match="either `command` or `url`"):
            McpServerSettings(name="x", **given)
