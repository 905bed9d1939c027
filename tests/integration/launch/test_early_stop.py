"""`ng_stop` from the first moment of a start on, and what a run that has no head yet must not get in the way of."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nemo_gym.commands.servers.stop import stop as stop_runs
from nemo_gym.config.reading.command_line import parse_command_line
from nemo_gym.launch.run_directory import RunDirectory
from nemo_gym.servers.runs.record import live_run_at, live_run_on, live_runs, runs
from tests.integration.launch.conftest import SERVES, Run

pytestmark = pytest.mark.integration
AddServer = Callable[..., Path]
# The launcher's modules load while the test looks: a start that takes its time before anything is bound.
SLOW_TO_LOAD = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "nemo_gym.launch.launcher":
            print("loading", flush=True)
            time.sleep(30)
sys.meta_path.insert(0, Slow())
from nemo_gym.commands.servers.run import main
main()
"""


@pytest.fixture
def loading(add_server: AddServer, free_port: int) -> Iterator[subprocess.Popen[str]]:
    """An `ng_run` that has read its configuration and bound nothing."""
    command = [sys.executable, "-c", SLOW_TO_LOAD, str(add_server("plain")), f"+head_server.port={free_port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        yield process
        process.kill()


@pytest.mark.parametrize("is_named", [True, False], ids=["by-port", "only-one"])
def test_run_that_has_bound_nothing_yet_is_found_and_stopped(
    is_named: bool, loading: subprocess.Popen[str], free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stop_runs(parse_command_line([f"+head_server.port={free_port}"] if is_named else [])) == 0
    assert "with 1 servers\n" in capsys.readouterr().out
    assert loading.wait(timeout=2) != 0
    assert live_runs() == []


def test_run_that_waits_for_a_port_does_not_hide_the_run_that_has_it(
    add_server: AddServer, ng_run: Callable[..., Run], free_port: int
) -> None:
    first = ng_run(add_server("plain", SERVES))
    first.wait_for("ready after")
    time.sleep(0.01)
    second = RunDirectory()
    second.write_record(("127.0.0.1", free_port), ("plain",), 5.0, True, has_head=False)
    for found in (live_run_at("127.0.0.1", free_port), (live_run_on(free_port) or (None,))[0]):
        assert found is not None
        assert found.pid == first.process.pid
    second.close_record()


def test_start_that_fails_is_not_on_record_any_more(add_server: AddServer, ng_run: Callable[..., Run]) -> None:
    run = ng_run(add_server("broken", "exit(1)\n"))
    assert run.process.wait(timeout=20) == 1
    assert [path.name for path in runs().glob("*/*.json")] == ["ended.json"]
