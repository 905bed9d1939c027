"""Case 9: servers that cannot start."""

import shutil
import socket
from pathlib import Path

import pytest

from tests.bounds import HANGS_AFTER_S
from tests.chaos import processes
from tests.chaos.invariants import assert_nothing_left
from tests.chaos.processes import PROJECT, Place
from tests.free_port import free_port

BROKEN_SERVERS = {
    "exits-at-import": ("import a_module_that_is_nowhere\n", "No module named 'a_module_that_is_nowhere'"),
    "never-binds": ("import time\n\ntime.sleep(3600)\n", "chaotic: still importing"),
}


def start(place: Place, port: int, *more: str, config: Path = PROJECT / "chaotic.yaml") -> tuple[int, str]:
    log = place.folder / "run.log"
    _, *settings = processes.run_arguments("http://127.0.0.1:9", port)
    process = place.start("ng_run", str(config), *settings, *more, log=log)
    return process.wait(timeout=HANGS_AFTER_S), log.read_text()


@pytest.mark.parametrize("how", list(BROKEN_SERVERS))
def test_a_server_that_cannot_start_is_named_with_its_reason(how: str, tmp_path: Path) -> None:
    script, said = BROKEN_SERVERS[how]
    place, port = Place.make(tmp_path), free_port()
    project = shutil.copytree(PROJECT, tmp_path / "project")
    (project / "resources_servers" / "chaotic" / "app.py").write_text(script)
    within = ["start_timeout_s=2.5"] if how == "never-binds" else []
    status, log = start(place, port, *within, config=project / "chaotic.yaml")
    assert status == 1, log
    assert "chaotic" in log
    assert said in log
    assert_nothing_left(place.home, [port], place.folder)


def test_a_port_that_is_taken_is_a_mistake_that_says_so(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, log = start(place, port)
    assert status == 2, log
    assert str(port) in log
    assert_nothing_left(place.home, [], place.folder)
