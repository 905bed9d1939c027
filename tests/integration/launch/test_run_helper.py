"""`RunHelper`: a run inside a program of the user."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from omegaconf import DictConfig

from nemo_gym.cli import GlobalConfigDictParserConfig, RunHelper, env
from nemo_gym.global_config import get_global_config_dict
from nemo_gym.launch.start_error import StartError
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.record import live_runs
from tests.bounds import HANGS_AFTER_S

pytestmark = pytest.mark.integration
AddServer = Callable[..., Path]
NewChildren = Callable[[], list[psutil.Process]]
PROGRAM = """
import sys
from nemo_gym.cli import GlobalConfigDictParserConfig, RunHelper, env
from nemo_gym.global_config import get_global_config_dict
helper = RunHelper()
helper.start(GlobalConfigDictParserConfig())
print("up", flush=True)
helper.run_forever()
print("over", flush=True)
"""


@pytest.fixture(autouse=True)
def _fresh_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nemo_gym.global_config._cached", None)


@pytest.fixture
def parser_config(free_port: int) -> Callable[..., GlobalConfigDictParserConfig]:
    def make(config: Path, **values: object) -> GlobalConfigDictParserConfig:
        initial = DictConfig({"config_paths": [str(config)], "head_server": {"port": free_port}, **values})
        return GlobalConfigDictParserConfig(
            initial_global_config_dict=initial, skip_load_from_cli=True, skip_load_from_dotenv=True
        )

    return make


def test_run_in_a_program_starts_polls_and_shuts_down(
    new_children: NewChildren,
    add_server: AddServer,
    parser_config: Callable[..., GlobalConfigDictParserConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEMO_GYM_RUN_CA", "of-another-run.pem")
    helper = RunHelper()
    threads = threading.active_count()
    helper.start(parser_config(add_server("plain")))
    assert len(new_children()) == 1
    helper.poll()
    ((record, _),) = live_runs()
    assert not record.is_command
    assert helper.run_token is not None
    client = ServerClient.load_from_global_config(helper.head_server_config, RunAccess(helper.run_token))
    assert [instance.state for instance in client.server_instances()] == ["ready"]
    helper.shutdown()
    assert new_children() == []
    assert live_runs() == []
    assert threading.active_count() == threads
    helper.shutdown()


def poll_until_it_raises(helper: RunHelper) -> None:
    """Poll until the launcher has heard of what happened."""
    until = time.monotonic() + HANGS_AFTER_S
    while time.monotonic() < until:
        helper.poll()
        time.sleep(0.02)


def test_poll_names_a_server_that_was_given_up(
    new_children: NewChildren, add_server: AddServer, parser_config: Callable[..., GlobalConfigDictParserConfig]
) -> None:
    helper = RunHelper()
    helper.start(parser_config(add_server("plain"), max_restarts=0))
    try:
        new_children()[0].kill()
        with pytest.raises(RuntimeError, match=r"not restarted any more: plain \(log: "):
            poll_until_it_raises(helper)
    finally:
        helper.shutdown()


def test_start_that_fails_leaves_nothing_and_can_be_tried_again(
    new_children: NewChildren, add_server: AddServer, parser_config: Callable[..., GlobalConfigDictParserConfig]
) -> None:
    helper = RunHelper()
    with pytest.raises(StartError, match="broken ended with status 1"):
        helper.start(parser_config(add_server("broken", "exit(1)\n")))
    assert new_children() == []
    helper.start(parser_config(add_server("plain")))
    helper.shutdown()


async def test_run_in_a_running_event_loop_can_be_called_through_its_client(
    add_server: AddServer, parser_config: Callable[..., GlobalConfigDictParserConfig]
) -> None:
    helper = RunHelper()
    helper.start(parser_config(add_server("plain")))
    try:
        assert helper._server_client is not None
        answer = await helper._server_client.get("plain", "/health")
        assert answer.status == 200
    finally:
        helper.shutdown()
    assert helper._server_client is None


def test_run_in_a_thread_starts_is_looked_after_and_stops(
    new_children: NewChildren, add_server: AddServer, parser_config: Callable[..., GlobalConfigDictParserConfig]
) -> None:
    def use() -> None:
        helper = RunHelper()
        helper.start(parser_config(add_server("plain"), max_restarts=0))
        children = new_children()
        children[0].kill()
        with pytest.raises(RuntimeError, match="plain"):
            helper.run_forever()
        finished.append(children)

    finished: list[list[psutil.Process]] = []
    thread = threading.Thread(target=use)
    thread.start()
    thread.join(timeout=30)
    assert len(finished) == 1
    assert new_children() == []


def test_configuration_of_the_process_holds_the_addresses_of_each_run_in_turn(
    add_server: AddServer, parser_config: Callable[..., GlobalConfigDictParserConfig]
) -> None:
    helper = RunHelper()
    for name in ("one", "two"):
        helper.start(parser_config(add_server(name)))
        try:
            ((record, _),) = live_runs()
            block = get_global_config_dict()[name].resources_servers[name]
            assert block.host == "127.0.0.1"
            with socket.create_connection((block.host, block.port), timeout=5):
                pass
            assert record.servers == (name,)
        finally:
            helper.shutdown()


def test_display_prints_every_server_and_where_the_logs_are(
    add_server: AddServer,
    parser_config: Callable[..., GlobalConfigDictParserConfig],
    capsys: pytest.CaptureFixture[str],
) -> None:
    helper = env.RunHelper()
    with pytest.raises(RuntimeError, match="not started"):
        helper.display_server_instance_info()
    helper.start(parser_config(add_server("plain")))
    helper.display_server_instance_info()
    ((_, folder),) = live_runs()
    helper.shutdown()
    printed = capsys.readouterr().out
    assert re.search(r"^plain +resources +http://127\.0\.0\.1:\d+ +\d+$", printed, re.MULTILINE)
    assert f"logs: {folder / 'logs'}\n" in printed
    assert "All 1 servers are ready after" in printed


def wait_until_caught(pid: int, number: signal.Signals) -> None:
    """Wait until a process has a handler for a signal: it says that it is up a moment before it waits for one."""
    until = time.monotonic() + HANGS_AFTER_S
    while time.monotonic() < until:
        caught = re.search(r"SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text())
        if caught and int(caught.group(1), 16) >> (number - 1) & 1:
            return
        time.sleep(0.01)
    raise TimeoutError(f"process {pid} does not catch {number.name}")


def test_run_forever_ends_on_sigterm_with_everything_stopped(add_server: AddServer, free_port: int) -> None:
    arguments = [str(add_server("plain")), f"+head_server.port={free_port}"]
    command = [sys.executable, "-c", PROGRAM, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        below = psutil.Process(program.pid).children()
        wait_until_caught(program.pid, signal.SIGTERM)
        os.kill(program.pid, signal.SIGTERM)
        assert program.stdout.read() == "over\n"
        assert program.wait(timeout=HANGS_AFTER_S) == 0
    assert len(below) == 1
    assert not below[0].is_running()
