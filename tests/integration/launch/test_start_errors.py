"""A start that fails says which server, in which phase, and why; nothing is left running."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.launch.launcher import Launcher, StartError
from tests.bounds import HANGS_AFTER_S, NEVER_S
from tests.integration.launch.conftest import TINY, Run, Said

pytestmark = pytest.mark.integration
AddServer = Callable[..., Path]
MakeLauncher = Callable[..., Launcher]


async def failure_of(launcher: Launcher) -> StartError:
    """The error of a start that must fail; checks that no process is left."""
    before = {process.pid for process in psutil.Process().children()}
    try:
        with pytest.raises(StartError) as caught:
            await launcher.start()
    finally:
        await launcher.stop()
    left = [process for process in psutil.Process().children() if process.pid not in before]
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []
    return caught.value


async def test_server_that_ends_at_import_ends_the_start_without_waiting_for_the_others(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said
) -> None:
    slow = add_server("slow", f"import time\ntime.sleep({NEVER_S})")
    error = await failure_of(
        launcher_of(add_server("broken", "import no_such_module\n"), slow, start_timeout_s=NEVER_S)
    )
    assert "broken ended with status 1 before it was ready (phase: importing; log: " in str(error)
    assert "    | ModuleNotFoundError: No module named 'no_such_module'" in str(error)
    assert "Traceback" not in str(error)  # it's on the console, once
    assert sum(line.startswith("[broken] Traceback") for line in said) == 1
    assert error.exit_status == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        pytest.param("no_such_module", "no_such_module", id="same-name"),
        pytest.param("cv2", "opencv-python", id="other"),
    ],
)
async def test_missing_package_is_named_with_the_line_for_requirements_txt(
    module: str, line: str, add_server: AddServer, launcher_of: MakeLauncher, project: Path
) -> None:
    launcher = launcher_of(add_server("needy", f"import {module}\n", requirements="nemo-gym\n"))
    error = await failure_of(launcher)
    file = project / "resources_servers" / "needy" / "requirements.txt"
    assert f"  missing: the Python module '{module}'\n" in str(error)
    assert f"  fix: add the line `{line}` to {file}" in str(error)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        pytest.param("x = 1\n", "doesn't call run_webserver()", id="never"),
        pytest.param("def main(): X.run_webserver()\n", "ended before it called run_webserver()", id="not-reached"),
    ],
)
async def test_script_that_serves_nothing_is_told_how_it_must_end(
    code: str, what: str, add_server: AddServer, launcher_of: MakeLauncher, project: Path
) -> None:
    error = await failure_of(launcher_of(add_server("idle", code)))
    assert f"{project / 'resources_servers' / 'idle' / 'app.py'} {what}" in str(error)
    assert 'if __name__ == "__main__":' in str(error)
    assert ".run_webserver()" in str(error)


@pytest.mark.parametrize("colocate", [False, True], ids=["separate", "colocated"])
async def test_server_whose_startup_fails_is_not_ready(
    colocate: bool, add_server: AddServer, launcher_of: MakeLauncher
) -> None:
    code = """
from nemo_gym.base_resources_server import SimpleResourcesServer
class Server(SimpleResourcesServer):
    async def startup(self):
        if self.config.name == "broken":
            raise RuntimeError("no database here")
    async def verify(self, body): ...
if __name__ == "__main__":
    Server.run_webserver()
"""
    launcher = launcher_of(add_server("plain", code), add_server("broken", code), colocate=colocate)
    error = await failure_of(launcher)
    assert "ended with status 3 before it was ready (phase: starting" in str(error)
    assert "RuntimeError: no database here" in str(error)


async def test_server_that_never_is_ready_is_named_with_its_phase_and_last_lines(
    add_server: AddServer, launcher_of: MakeLauncher
) -> None:
    slow = "import os, time\nos.write(int(os.environ['NEMO_GYM_STATUS_FD']), b'binding\\n')\n"
    slow += "print('still looking for a port', flush=True)\ntime.sleep(60)\n"
    launcher = launcher_of(add_server("slow", slow), add_server("plain"), start_timeout_s=2.0)
    error = await failure_of(launcher)
    assert "not ready within 2 s (start_timeout_s):\n  slow: still binding; log " in str(error)
    assert "    | still looking for a port" in str(error)
    assert "plain" not in str(error)


async def test_server_that_refuses_its_settings_is_a_mistake_without_traceback(
    add_server: AddServer, launcher_of: MakeLauncher
) -> None:
    code = """
from nemo_gym.base_resources_server import BaseResourcesServerConfig, SimpleResourcesServer
class Config(BaseResourcesServerConfig):
    max_steps: int
class Server(SimpleResourcesServer):
    config: Config
    async def verify(self, body): ...
Server.run_webserver()
"""
    error = await failure_of(launcher_of(add_server("typed", code, settings="max_steps: abc")))
    assert "typed can't run with its settings" in str(error)
    assert "max_steps" in str(error)
    assert "Traceback" not in str(error)
    assert error.exit_status == 2


async def test_mistake_that_a_server_finds_while_it_starts_is_shown_without_traceback(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said
) -> None:
    code = """
from nemo_gym.base_resources_server import BaseResourcesServerConfig, SimpleResourcesServer
from nemo_gym.config.errors import ConfigError, Mistake
class Server(SimpleResourcesServer):
    config: BaseResourcesServerConfig
    async def startup(self):
        raise ConfigError(Mistake("no such file: 'index.bin'", where="index_path", fix="build it first"))
    async def verify(self, body): ...
Server.run_webserver()
"""
    error = await failure_of(launcher_of(add_server("picky", code)))
    heading, *mistake = str(error).splitlines()
    assert heading.startswith("picky can't run with its settings")
    assert mistake == ["config error: no such file: 'index.bin'", "  where: index_path", "  fix:   build it first"]
    assert error.exit_status == 2
    assert not [line for line in said if "Traceback" in line]


async def test_server_that_dies_while_others_still_start_ends_the_start(
    add_server: AddServer, launcher_of: MakeLauncher
) -> None:
    brief = TINY + "import threading, time\nthreading.Timer(0.2, lambda: os._exit(3)).start()\nserve()\n"
    error = await failure_of(launcher_of(add_server("brief", brief), add_server("slow", "import time\ntime.sleep(60)")))
    assert "brief ended with status 3 while others were starting" in str(error)


async def test_port_in_use_is_named_with_its_owner(add_server: AddServer, launcher_of: MakeLauncher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        launcher = launcher_of(add_server("plain", settings=f"port: {port}"))
        with pytest.raises(ConfigError) as caught:
            await launcher.start()
        await launcher.stop()
    assert f"plain can't listen on 127.0.0.1:{port}: the port is in use by pid {os.getpid()} (" in str(caught.value)
    assert "plain.resources_servers.plain.port" in str(caught.value)


async def test_head_port_of_another_process_is_named_with_its_owner(
    add_server: AddServer, launcher_of: MakeLauncher, free_port: int
) -> None:
    launcher = launcher_of(add_server("plain"))
    with socket.create_server(("127.0.0.1", free_port)), pytest.raises(ConfigError) as caught:
        await launcher.start()
    await launcher.stop()
    assert f"the head can't listen on 127.0.0.1:{free_port}: the port is in use by pid {os.getpid()}" in str(
        caught.value
    )
    assert Path(sys.executable).name in str(caught.value)


async def test_head_port_of_another_run_says_which_and_how_to_stop_it(
    add_server: AddServer, launcher_of: MakeLauncher, free_port: int
) -> None:
    first = launcher_of(add_server("plain"))
    try:
        await first.start()
        second = launcher_of(add_server("other"))
        with pytest.raises(ConfigError) as caught:
            await second.start()
        await second.stop()
    finally:
        await first.stop()
    assert first.run_directory is not None
    assert f"is taken by the run {first.run_directory.run_id}" in str(caught.value)
    assert f"ng_stop +head_server.port={free_port}" in str(caught.value)


def test_ng_run_whose_server_refuses_its_settings_ends_with_status_two(
    add_server: AddServer, ng_run: Callable[..., Run]
) -> None:
    run = ng_run(add_server("broken", "exit('config error: no')\n"))
    assert run.process.wait(timeout=HANGS_AFTER_S) == 2
    assert "start error: broken can't run with its settings" in run.output
    assert "never retrieved" not in run.output
    assert "Traceback" not in run.output
