"""Ctrl-C, a second one, one while starting, and a launcher that is killed: nothing is left. SIGTERM is `ng_stop`'s."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym.launch.launcher import Launcher
from tests.bounds import NEVER_S
from tests.integration.launch.conftest import SERVES, TINY, Run, Said

pytestmark = pytest.mark.integration
READY = "servers are ready"
STUBBORN = TINY + "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nserve()\n"
# A second after SIGTERM it is there: SIGKILL leaves a server some of the budget.
UNMOVED = (
    TINY
    + "import signal\n"
    + "def on_sigterm(*_): print('SIGTERM', flush=True); signal.alarm(1)\n"
    + "signal.signal(signal.SIGTERM, on_sigterm)\n"
    + "signal.signal(signal.SIGALRM, lambda *_: print('still here', flush=True))\n"
    + "serve()\n"
)
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


async def test_server_that_ignores_sigterm_is_killed_when_the_default_stop_budget_is_over(
    add_server: AddServer, launcher_of: Callable[..., Launcher], said: Said
) -> None:
    launcher = launcher_of(add_server("unmoved", UNMOVED))
    assert launcher.options.stop_timeout_s == 5.0
    await launcher.start()
    process = launcher.servers["unmoved"].process
    assert process is not None
    await launcher.stop()
    assert [line for line in said if line.startswith("[unmoved]")] == ["[unmoved] SIGTERM", "[unmoved] still here"]
    assert process.returncode == -signal.SIGKILL
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
