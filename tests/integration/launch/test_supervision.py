"""A server that dies while the run is up: noticed, said, started again; given up when it dies too often."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym.config.code_digest import component_digest
from nemo_gym.launch.launcher import Launcher
from nemo_gym.servers.runs.record import home
from tests.bounds import HANGS_AFTER_S
from tests.integration.launch.conftest import SERVES, Said
from tests.run_access import instances_of

pytestmark = pytest.mark.integration
AddServer = Callable[..., Path]
MakeLauncher = Callable[..., Launcher]
AGAIN_WHEN_TOLD = """
import os, time
while os.path.exists("been_here") and not os.path.exists("go"):
    time.sleep(0.01)
open("been_here", "w").close()
"""


async def test_killed_server_is_noticed_and_comes_back_on_its_port(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said
) -> None:
    launcher = launcher_of(add_server("plain", "print('famous last words', flush=True)\n" + AGAIN_WHEN_TOLD + SERVES))
    try:
        await launcher.start()
        before = launcher.states_now()[0]
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)
        await said.wait_for("plain was ended by SIGKILL while running")
        assert "[]     | famous last words" in said
        assert launcher.states_now()[0].state == "restarting"
        Path("resources_servers/plain/go").touch()
        await said.wait_for("plain is ready again")
        after = launcher.states_now()[0]
        assert (after.state, after.port) == ("ready", before.port)
        assert after.pid != before.pid
        with socket.create_connection(("127.0.0.1", after.port), timeout=2):
            pass
    finally:
        await launcher.stop()


async def test_a_restarted_server_is_reported_with_the_code_it_was_restarted_with(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said
) -> None:
    launcher = launcher_of(add_server("plain"))
    folder = Path("resources_servers/plain").resolve()
    try:
        await launcher.start()
        first = component_digest(folder)
        assert launcher.states_now()[0].folder == str(folder)
        (folder / "app.py").write_text(SERVES + "# changed\n")
        assert launcher.states_now()[0].code_digest == first
        os.kill(launcher.states_now()[0].pid or 0, signal.SIGKILL)
        await said.wait_for("plain was ended by SIGKILL while running")
        assert launcher.states_now()[0].code_digest is None
        await said.wait_for("plain is ready again")
        assert launcher.states_now()[0].code_digest == component_digest(folder) != first
    finally:
        await launcher.stop()


async def test_server_that_dies_too_often_is_given_up_and_refuses_connections(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said, project: Path
) -> None:
    once = "import os, sys\nif os.path.exists('been_here'): sys.exit('not again')\nopen('been_here', 'w')\n"
    launcher = launcher_of(add_server("brittle", once + SERVES), max_restarts=1)
    try:
        await launcher.start()
        os.kill(launcher.states_now()[0].pid or 0, signal.SIGKILL)
        await said.wait_for("brittle died again after 1 restarts in 300 s (max_restarts): not started any more")
        assert "[]     | not again" in said
        state = launcher.states_now()[0]
        assert (state.state, state.pid) == ("failed", None)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", state.port)) != 0
    finally:
        await launcher.stop()


async def test_what_a_dead_server_left_in_its_group_is_killed(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said
) -> None:
    code = "import subprocess\nprint('child', subprocess.Popen(['sleep', '60']).pid, flush=True)\n" + SERVES
    launcher = launcher_of(add_server("parent", code), max_restarts=0)
    try:
        await launcher.start()
        await said.wait_for("child ")
        child = int(next(line for line in said if "child " in line).split()[-1])
        os.kill(launcher.states_now()[0].pid or 0, signal.SIGKILL)
        await said.wait_for("not started any more")
        assert not Path(f"/proc/{child}/exe").exists()
    finally:
        await launcher.stop()


async def test_stopped_launcher_leaves_no_descriptor_open(add_server: AddServer, launcher_of: MakeLauncher) -> None:
    launcher = launcher_of(add_server("plain"))
    before = set(os.listdir("/proc/self/fd"))
    await launcher.start()
    await launcher.stop()
    assert set(os.listdir("/proc/self/fd")) <= before


async def test_head_reports_a_restart(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said, free_port: int
) -> None:
    launcher = launcher_of(add_server("plain", AGAIN_WHEN_TOLD + SERVES))

    def states() -> list[str]:
        return [instance["state"] for instance in instances_of(free_port, home())]

    try:
        await launcher.start()
        assert await asyncio.to_thread(states) == ["ready"]
        os.kill(launcher.states_now()[0].pid or 0, signal.SIGKILL)
        async with asyncio.timeout(HANGS_AFTER_S):
            while await asyncio.to_thread(states) != ["restarting"]:
                pass
    finally:
        await launcher.stop()
