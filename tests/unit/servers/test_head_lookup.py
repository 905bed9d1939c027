"""Which run answers at an address, and whether it is one that may be used without being named."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nemo_gym.config.env_names import HOME_ENV, RUN_TOKEN_ENV
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.servers.http.head_lookup import find_run
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.record import started_at
from tests.head_in_thread import head_in_thread

STARTED = 1_700_000_000.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_ENV, str(tmp_path))
    monkeypatch.delenv(RUN_TOKEN_ENV, raising=False)
    return tmp_path


@pytest.fixture
def head() -> Iterator[BaseServerConfig]:
    """A head of the run `run-1` that tells everyone its health."""

    text = json.dumps({"status": "ok", "name": "head", "run": "run-1"}).encode()
    with head_in_thread(lambda path: (200 if path == "/health" else 401, text)) as where:
        yield where


@pytest.fixture
def record(home: Path, head: BaseServerConfig) -> Callable[..., None]:
    """Write the record of a run whose launcher is this process."""

    def write(run_id: str, folder: Path) -> None:
        fields = {
            "run_id": run_id,
            "pid": os.getpid(),
            "pid_created_at": started_at(os.getpid()),
            "head_host": head.host,
            "head_port": head.port,
            "folder": str(folder),
            "started_at": STARTED,
            "servers": [],
            "stop_timeout_s": 5.0,
            "is_command": True,
        }
        (home / "runs" / run_id).mkdir(parents=True)
        (home / "runs" / run_id / "run.json").write_text(json.dumps(fields))

    return write


def test_an_own_run_is_named_with_folder_time_and_pid(record: Callable[..., None], head: BaseServerConfig) -> None:
    record("run-1", Path.cwd())
    found = find_run(head, RunAccess(), is_named=False)
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(STARTED))
    assert str(found) == f"run run-1, started in {Path.cwd()} at {started}, pid {os.getpid()}"
    assert found.is_from_here


def test_an_own_run_of_another_folder_is_not_from_here(
    record: Callable[..., None], head: BaseServerConfig, tmp_path: Path
) -> None:
    record("run-1", tmp_path)
    assert not find_run(head, RunAccess(), is_named=False).is_from_here


def test_a_run_without_a_record_is_refused_unless_it_is_named(home: Path, head: BaseServerConfig) -> None:
    with pytest.raises(ConfigError, match=r"run run-1 at .* isn't one of yours") as caught:
        find_run(head, RunAccess(), is_named=False)
    assert f"+head_server.port={head.port}" in str(caught.value)
    assert re.match(rf"run run-1 at 127.0.0.1:{head.port} \(not in", str(find_run(head, RunAccess(), is_named=True)))


def test_a_token_in_the_environment_names_the_run(
    home: Path, head: BaseServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_TOKEN_ENV, "t")
    assert "run-1" in str(find_run(head, RunAccess(), is_named=False))


def test_a_record_of_another_run_on_the_same_port_does_not_vouch_for_this_one(
    record: Callable[..., None], head: BaseServerConfig
) -> None:
    record("run-2", Path.cwd())
    with pytest.raises(ConfigError, match="isn't one of yours"):
        find_run(head, RunAccess(), is_named=False)


def test_nobody_at_the_address_is_said_with_how_to_start(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"no head server answers at 127\.0\.0\.1:9: .*refused") as caught:
        find_run(BaseServerConfig(host="127.0.0.1", port=9), RunAccess(), is_named=False)
    assert "ng_run" in str(caught.value)
