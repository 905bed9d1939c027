"""`ng_run +detach=true`, and `ng_stop` for runs that do not end by themselves."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from nemo_gym.commands.servers.stop import stop as stop_runs
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.reading.command_line import parse_command_line
from nemo_gym.launch.live_run import stop_run
from nemo_gym.servers.runs.record import live_runs
from tests.bounds import HANGS_AFTER_S
from tests.free_port import free_port as another_port
from tests.integration.launch.conftest import NG_RUN, Run

pytestmark = pytest.mark.integration
AddServer = Callable[..., Path]


def detach(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", NG_RUN, *arguments, "+detach=true"]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANGS_AFTER_S, check=False)


def test_detached_run_is_ready_when_the_command_returns_and_stop_ends_it(add_server: AddServer, free_port: int) -> None:
    done = detach(str(add_server("plain")), f"+head_server.port={free_port}")
    assert done.returncode == 0, done.stderr
    assert f"ng_stop +head_server.port={free_port} stops them" in done.stdout
    ((record, folder),) = live_runs()
    assert os.getsid(record.pid) == record.pid
    assert (folder / "launcher.log").exists()
    assert stop_runs(parse_command_line([f"+head_server.port={free_port}"])) == 0
    assert live_runs() == []


def test_detached_run_that_fails_shows_why_and_leaves_nothing(add_server: AddServer, free_port: int) -> None:
    config = add_server("broken", "import no_such_module\n")
    done = detach(str(config), str(add_server("slow", "import time\ntime.sleep(60)")), f"+head_server.port={free_port}")
    assert done.returncode == 1
    assert "start error: broken ended with status 1" in done.stderr
    assert "No module named 'no_such_module'" in done.stderr
    assert live_runs() == []
    scripts = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    assert [line for line in scripts if str(config.parent) in line] == []


def test_stop_without_a_choice_wants_one_when_two_runs_are_up(
    add_server: AddServer, ng_run: Callable[..., Run], free_port: int
) -> None:
    config = add_server("plain")
    first = ng_run(config)
    second = ng_run(config, overrides=(f"++head_server.port={another_port()}",))
    first.wait_for("servers are ready")
    second.wait_for("servers are ready")
    with pytest.raises(ConfigError, match="2 runs are up") as caught:
        stop_runs(parse_command_line([]))
    assert f"{free_port} (" in str(caught.value)
    assert stop_runs(parse_command_line(["+all=true"])) == 0
    assert first.process.wait(HANGS_AFTER_S) == second.process.wait(HANGS_AFTER_S) == 130


def test_launcher_that_does_not_answer_is_killed_with_its_servers(
    add_server: AddServer, ng_run: Callable[..., Run]
) -> None:
    run = ng_run(add_server("plain"), overrides=("+stop_timeout_s=0.5",))
    run.wait_for("servers are ready")
    run.signal(signal.SIGSTOP)
    ((record, folder),) = live_runs()
    assert stop_run(record) is False
    assert sorted(path.name for path in folder.iterdir()) == ["logs", "run.json"]
    run.assert_all_gone()
