"""Runs on record: found while they run, not afterwards, and not for ever."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.launch.run_directory import KEPT_RUNS, RunDirectory
from nemo_gym.servers.runs.record import live_run_on, live_runs


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEMO_GYM_HOME", str(tmp_path))
    return tmp_path


def test_run_is_on_record_until_its_record_is_closed() -> None:
    directory = RunDirectory()
    directory.write_record(("127.0.0.1", 4711), ("one", "two"), 5.0, True)
    found = live_run_on(4711)
    assert found is not None
    assert found[0].servers == ("one", "two")
    assert found[0].pid == os.getpid()
    directory.close_record()
    assert live_runs() == []


def test_record_of_a_process_that_is_gone_is_no_live_run(home: Path) -> None:
    code = "from nemo_gym.launch.run_directory import RunDirectory as R; R().write_record(('h', 1), (), 5.0, True)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    assert len(list(home.glob("runs/*/run.json"))) == 1
    assert live_runs() == []


def test_token_is_private_from_the_start_and_gone_with_the_run(home: Path) -> None:
    before = os.umask(0)
    try:
        directory = RunDirectory()
        directory.write_token("t")
    finally:
        os.umask(before)
    (token,) = home.glob("runs/*/token")
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="File exists"):
        directory.write_token("another")
    directory.close_record()
    assert not token.exists()


def test_token_of_a_run_whose_launcher_was_killed_is_removed_by_the_next(home: Path) -> None:
    code = "from nemo_gym.launch.run_directory import RunDirectory as R; r = R(); r.write_token('t'); "
    code += "r.write_record(('h', 1), (), 5.0, True)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    live = RunDirectory()
    live.write_token("t")
    live.write_record(("h", 1), (), 5.0, True)
    starting = RunDirectory()
    starting.write_token("t")
    RunDirectory()
    assert {path.parent.name for path in home.glob("runs/*/token")} == {live.run_id, starting.run_id}


def test_old_folders_are_removed_but_never_that_of_a_live_run(home: Path) -> None:
    live = RunDirectory()
    live.write_record(("127.0.0.1", 1), (), 5.0, True)
    for number in range(KEPT_RUNS + 5):
        (home / "runs" / f"29990101-{number:06}").mkdir()
    RunDirectory()
    left = sorted(path.name for path in (home / "runs").iterdir())
    assert left[0] == live.run_id
    assert len(left) == KEPT_RUNS + 1
    assert left[-1] == f"29990101-{KEPT_RUNS + 4:06}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a home")
def test_user_without_a_home_has_no_runs_and_is_told_which_variable_to_set() -> None:
    code = "import os; from nemo_gym.launch.run_directory import *; os.setuid(4242); os.environ.clear(); "
    code += "print(live_runs())\ntry: RunDirectory()\nexcept ConfigError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.startswith("[]\nconfig error: this user has no home folder")
    assert "set NEMO_GYM_HOME to a folder you can write to" in done.stdout
