"""Which digest a collection records for each server, and what is said where a folder holds other code."""

from pathlib import Path
from typing import Any

import pytest

from nemo_gym.collections.server_code import ServerCode, read_server_code
from nemo_gym.config.code_digest import component_digest
from nemo_gym.servers.runs.record import ServerInstanceState

CONFIG = {"sums": {"resources_servers": {"adds": {"entrypoint": "app.py"}}}, "head_server": {"port": 1}}
RAN = "a" * 32
NEWER = "b" * 32


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A component's folder that is found from the current one."""
    made = tmp_path / "resources_servers" / "adds"
    made.mkdir(parents=True)
    (made / "app.py").write_text("reward = 1")
    monkeypatch.chdir(tmp_path)
    return made


def state(folder: Path, code_digest: str | None, worker: int | None = None) -> ServerInstanceState:
    address: dict[str, Any] = {"host": "127.0.0.1", "port": 1, "url": "http://127.0.0.1:1", "pid": 1, "state": "ready"}
    named = {"name": "sums", "kind": "resources_servers", "implementation": "adds", "worker": worker}
    return ServerInstanceState(**named, **address, folder=str(folder), code_digest=code_digest)


def test_what_the_head_says_wins_over_the_folder_and_the_difference_is_said(folder: Path) -> None:
    code = read_server_code(CONFIG, [state(folder, RAN)])
    assert (code.digests, code.guessed, code.unseen) == ({"sums": RAN}, (), [])
    said = "sums runs code that is no longer what resources_servers/adds holds: restart ng_run to use it"
    assert code.outdated == (said,)


def test_a_server_that_runs_what_its_folder_holds_gives_no_cause_to_say_anything(folder: Path) -> None:
    now = component_digest(folder)
    assert read_server_code(CONFIG, [state(folder, now)]) == ServerCode({"sums": now})


@pytest.mark.parametrize("is_older", [True, False], ids=["older-head", "no-process-at-this-moment"])
def test_the_folder_stands_in_where_the_head_does_not_say(folder: Path, is_older: bool) -> None:
    code = read_server_code(CONFIG, [] if is_older else [state(folder, None)])
    assert code == ServerCode({"sums": component_digest(folder)}, guessed=("sums",))


def test_code_on_another_machine_is_known_from_its_head_alone(tmp_path: Path) -> None:
    far = tmp_path / "not" / "here"
    assert read_server_code(CONFIG, [state(far, RAN)]) == ServerCode({"sums": RAN})
    assert read_server_code(CONFIG, []).unseen == ["sums"]


def test_workers_that_run_different_code_are_neither_the_old_code_nor_the_new(folder: Path) -> None:
    mixed = read_server_code(CONFIG, [state(folder, RAN, 0), state(folder, NEWER, 1)])
    turned = read_server_code(CONFIG, [state(folder, NEWER, 0), state(folder, RAN, 1)])
    assert mixed.digests == turned.digests
    assert mixed.digests["sums"] not in (RAN, NEWER)
    assert len(mixed.outdated) == 1
    uniform = read_server_code(CONFIG, [state(folder, RAN, 0), state(folder, RAN, 1)])
    assert uniform.digests == {"sums": RAN}
