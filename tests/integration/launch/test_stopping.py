"""Ctrl-C, a second one, one while starting, and a launcher that is killed: nothing is left. SIGTERM is `ng_stop`'s."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym.launch.launcher import Launcher
from tests.bounds import NEVER_S
from tests.integration.launch.conftest import SERVES, TINY, Run

pytestmark = pytest.mark.integration
READY = "servers are ready"
# Far below the budget that a stubborn server would use up, and far above what a loaded machine needs to end processes.
LONG_BUDGET, AT_ONCE_S = "+stop_timeout_s=60", 15.0
STUBBORN = TINY + "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nserve()\n"
IMPORTING = "import time\nprint('importing for long', flush=True)\ntime.sleep(60)\n"
STUBBORN_CHILD = (
    TINY
    + "import subprocess, sys\n"
    + 'code = \'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("deaf", flush=True); '
    + "time.sleep(60)'\n"
    + "subprocess.Popen([sys.executable, '-c', code])\nserve()\n"
)
AddServer = Callable[..., Path]
NgRun = Callable[..., Run]


def is_refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_run_that_gets_ctrl_c_leaves_nothing(add_server: AddServer, ng_run: NgRun, free_port: int) -> None:
    run = ng_run(add_server("plain"), add_server("with_child", STUBBORN_CHILD))
    run.wait_for(READY)
    run.wait_for("[with_child] deaf")
    run.signal(signal.SIGINT)
    run.assert_all_gone()
    assert run.process.returncode == 130
    assert run.output.endswith("stopped\n")
    assert "Traceback" not in run.output
    assert "never retrieved" not in run.output
    assert is_refused(free_port)


def test_second_ctrl_c_ends_a_stubborn_server_before_the_stop_budget_is_over(
    add_server: AddServer, ng_run: NgRun
) -> None:
    run = ng_run(add_server("stubborn", STUBBORN), overrides=(f"+stop_timeout_s={NEVER_S:g}",))
    run.wait_for(READY)
    run.signal(signal.SIGINT)
    run.wait_for("stopping: 3600 s at most; again to end at once")
    run.signal(signal.SIGINT)
    run.assert_all_gone()


async def test_stubborn_server_is_killed_at_the_end_of_the_stop_budget(
    add_server: AddServer, launcher_of: Callable[..., Launcher]
) -> None:
    launcher = launcher_of(add_server("stubborn", STUBBORN), stop_timeout_s=1.0)
    await launcher.start()
    await launcher.stop()
    assert launcher.states_now()[0].pid is None


def test_ctrl_c_during_the_start_leaves_nothing(add_server: AddServer, ng_run: NgRun) -> None:
    overrides = (f"+stop_timeout_s={NEVER_S:g}",)
    run = ng_run(add_server("slow", IMPORTING), add_server("stubborn", STUBBORN), overrides=overrides)
    run.wait_for("[slow] importing for long")
    run.signal(signal.SIGINT)
    run.wait_for("stopping: ")  # two signals at once are one
    run.signal(signal.SIGINT)
    run.assert_all_gone()
    assert run.process.returncode == 130
    assert READY not in run.output
    assert "Traceback" not in run.output


def test_killed_launcher_leaves_no_server_no_importing_one_and_no_grandchild(
    add_server: AddServer, ng_run: NgRun, free_port: int
) -> None:
    run = ng_run(add_server("slow", IMPORTING), add_server("parent", STUBBORN_CHILD), add_server("plain", SERVES))
    run.wait_for("[slow] importing for long")
    run.wait_for("[parent] deaf")
    assert len(run.look()) == 4
    run.signal(signal.SIGKILL)
    run.assert_all_gone()
    assert is_refused(free_port)
