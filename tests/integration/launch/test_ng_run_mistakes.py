"""What the person at the keyboard gets wrong, or the machine refuses: one message, exit status 2, no traceback."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.launch.conftest import NG_RUN

pytestmark = pytest.mark.integration
AddServer = Callable[..., Path]


def outcome(code: str, *arguments: str, prefix: tuple[str, ...] = (), **variables: str) -> tuple[int, str]:
    """The status of a command, and everything it printed."""
    command = [*prefix, sys.executable, "-c", code, *arguments]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False, env=environment)
    return done.returncode, done.stdout + done.stderr


def test_ng_run_without_servers_is_a_mistake_with_an_example(project: Path) -> None:
    status, printed = outcome(NG_RUN)
    assert status == 2
    assert "no servers are configured" in printed
    assert "ng_run resources_servers/example_simple_weather/configs/simple_weather.yaml" in printed


@pytest.mark.parametrize("detach", ["false", "true"])
@pytest.mark.parametrize("home", ["/dev/null/home", "/proc/home"])
def test_home_that_cannot_be_made_is_named_with_the_variable_that_moves_it(
    home: str, detach: str, add_server: AddServer, free_port: int
) -> None:
    arguments = (str(add_server("plain")), f"+head_server.port={free_port}", f"+detach={detach}")
    status, printed = outcome(NG_RUN, *arguments, NEMO_GYM_HOME=home)
    assert status == 2
    assert f"can't write to the run directory {home}/runs/" in printed
    assert "set NEMO_GYM_HOME to a folder" in printed
    assert "Traceback" not in printed


def test_full_disk_is_said_in_one_message(add_server: AddServer, free_port: int) -> None:
    full = ("bash", "-c", 'ulimit -f 0; exec "$@"', "bash")  # every write to a file fails, as on a full disk
    status, printed = outcome(NG_RUN, str(add_server("plain")), f"+head_server.port={free_port}", prefix=full)
    assert status == 2
    assert "can't write to the run directory" in printed
    assert "Traceback" not in printed
