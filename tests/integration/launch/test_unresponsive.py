"""A server that runs and doesn't answer is shown as unresponsive, and left alone unless a setting says otherwise."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym.launch.launcher import Launcher
from tests.integration.launch.conftest import TINY, Said

pytestmark = pytest.mark.integration
AddServer = Callable[..., Path]
MakeLauncher = Callable[..., Launcher]
LATE = TINY.replace("connection.recv(65536)", "import time; connection.recv(65536); time.sleep(1.5)") + "serve()\n"


async def reach(launcher: Launcher, state: str, timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while launcher.states_now()[0].state != state:
            await asyncio.sleep(0.02)


async def test_frozen_server_is_unresponsive_and_ready_again_when_it_goes_on(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said
) -> None:
    launcher = launcher_of(add_server("plain"), unresponsive_after_s=0.5)
    try:
        await launcher.start()
        pid = launcher.states_now()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await reach(launcher, "unresponsive")
        await said.wait_for("plain hasn't answered /health for 0.5 s (unresponsive_after_s): shown as unresponsive")
        os.kill(pid, signal.SIGCONT)
        await reach(launcher, "ready")
        assert launcher.states_now()[0].pid == pid
        await said.wait_for("plain answers again after ")
    finally:
        await launcher.stop()


async def test_server_that_answers_late_is_ready_again_and_not_restarted(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said
) -> None:
    launcher = launcher_of(add_server("late", LATE), unresponsive_after_s=0.2)
    try:
        await launcher.start()
        pid = launcher.states_now()[0].pid
        await reach(launcher, "unresponsive")
        await reach(launcher, "ready")
        assert launcher.states_now()[0].pid == pid
    finally:
        await launcher.stop()


async def test_frozen_server_is_restarted_where_a_setting_says_so(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said
) -> None:
    bounds = {"unresponsive_after_s": 0.2, "restart_unresponsive_after_s": 0.6}
    launcher = launcher_of(add_server("plain"), **bounds)
    try:
        await launcher.start()
        pid = launcher.states_now()[0].pid
        os.kill(pid or 0, signal.SIGSTOP)
        await said.wait_for("plain hasn't answered /health for 0.6 s (restart_unresponsive_after_s): killed", 10)
        await said.wait_for("plain is ready again", timeout_s=10)
        assert launcher.states_now()[0].state == "ready"
        assert launcher.states_now()[0].pid != pid
    finally:
        await launcher.stop()


async def test_frozen_server_that_is_killed_is_restarted_like_any_other(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said
) -> None:
    launcher = launcher_of(add_server("plain"), unresponsive_after_s=0.2)
    try:
        await launcher.start()
        pid = launcher.states_now()[0].pid or 0
        os.kill(pid, signal.SIGSTOP)
        await reach(launcher, "unresponsive")
        os.kill(pid, signal.SIGKILL)
        await said.wait_for("plain is ready again", timeout_s=10)
        await reach(launcher, "ready")
    finally:
        await launcher.stop()
