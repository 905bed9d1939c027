"""A configuration of any size reaches every server, and nobody else."""

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym.launch.launcher import Launcher
from nemo_gym.servers.runs.record import runs
from tests.integration.launch.conftest import SERVES, Run, Said

pytestmark = pytest.mark.integration
AddServer = Callable[..., Path]
KEY = "sk-canary-4711"
BEYOND_ONE_VARIABLE = 200_000  # bytes; Linux refuses a variable of 128 KiB
SAYS_ITS_CONFIGURATION = (
    "from nemo_gym.global_config import get_global_config_dict\n"
    "config = get_global_config_dict()\n"
    "print('ballast', len(config['ballast']), 'key', config['policy_api_key'], flush=True)\n"
)


@pytest.fixture
def large(project: Path) -> Path:
    """A configuration file that no environment variable can hold."""
    path = project / "large.yaml"
    path.write_text(f"ballast: {'x' * BEYOND_ONE_VARIABLE}\npolicy_api_key: {KEY}\n")
    return path


def config_files() -> list[Path]:
    return list(runs().glob("*/config/*"))


async def test_large_configuration_reaches_a_server_and_again_after_its_restart(
    add_server: AddServer, launcher_of: Callable[..., Launcher], said: Said, large: Path
) -> None:
    launcher = launcher_of(add_server("plain", SAYS_ITS_CONFIGURATION + SERVES), large)
    try:
        await launcher.start()
        await said.wait_for(f"[plain] ballast {BEYOND_ONE_VARIABLE} key ")
        os.kill(launcher.states_now()[0].pid or 0, signal.SIGKILL)
        await said.wait_for("plain is ready again", timeout_s=20)
        assert len([line for line in said if f"ballast {BEYOND_ONE_VARIABLE}" in line and "[plain]" in line]) == 2
    finally:
        await launcher.stop()


async def test_configuration_of_a_server_is_in_a_private_file_that_goes_with_the_run(
    add_server: AddServer, launcher_of: Callable[..., Launcher]
) -> None:
    launcher = launcher_of(add_server("one", settings="api_key: sk-of-one-0815"), add_server("two"))
    try:
        await launcher.start()
        one, two = sorted(config_files())
        assert (one.name, two.name) == ("one.yaml", "two.yaml")
        assert [stat.S_IMODE(path.stat().st_mode) for path in (one, two)] == [0o600, 0o600]
        assert "sk-of-one-0815" in one.read_text()
        assert "sk-of-one-0815" not in two.read_text()
        pid = launcher.states_now()[0].pid
        assert "sk-of-one-0815" not in Path(f"/proc/{pid}/environ").read_text()
    finally:
        await launcher.stop()
    assert config_files() == []


def test_configuration_files_of_a_killed_launcher_are_removed_by_the_next_run(
    add_server: AddServer, ng_run: Callable[..., Run]
) -> None:
    first = ng_run(add_server("plain"))
    first.wait_for("ready after")
    first.signal(signal.SIGKILL)
    first.assert_all_gone()
    (left,) = config_files()
    second = ng_run(add_server("other"))
    second.wait_for("ready after")
    assert not left.exists()
