"""`python app.py` in a server's folder serves on its own: two variables say what and how."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.bounds import HANGS_AFTER_S
from tests.contract.environment import ROOT, Environment
from tests.free_port import free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def alone(environment: Environment, tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The address and the process of a server that was started by hand."""
    (name, settings), port = environment.instance, free_port()
    block = {"resources_servers": {environment.folder.name: {**settings, "host": "127.0.0.1", "port": port}}}
    variables = {"NEMO_GYM_CONFIG_DICT": yaml.safe_dump({name: block}), "NEMO_GYM_CONFIG_PATH": name}
    variables |= {"NEMO_GYM_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=environment.folder, env=os.environ | variables, stdout=log, stderr=log
        )
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def wait_until_healthy(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + HANGS_AFTER_S
    while True:
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < until
        try:
            assert httpx.get(f"{url}/health").status_code == 200
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return


def test_a_script_with_its_configuration_in_the_environment_serves_without_a_head(
    environment: Environment, alone: tuple[str, "subprocess.Popen[bytes]"]
) -> None:
    url, process = alone
    wait_until_healthy(url, process)
    assert httpx.get(f"{url}/tools").status_code == 200
    assert httpx.post(f"{url}/seed_session", json=environment.rows[0]).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=HANGS_AFTER_S) in (0, -signal.SIGTERM)
