"""Case 10, continued: the manifest has the code that ran, also when its folder holds other code by then."""

import json
import shutil
from pathlib import Path

import pytest

from nemo_gym.config.code_digest import component_digest
from tests.chaos import processes
from tests.chaos.invariants import beside, check_output
from tests.chaos.processes import PROJECT, Collector, Endpoint, Place, task, write_tasks


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, to change its code."""
    return Path(shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__")))


def change_code(folder: Path) -> tuple[str, str]:
    """Change the verifier; return the digests of before and after."""
    before = component_digest(folder)
    with (folder / "app.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    after = component_digest(folder)
    assert before is not None
    assert after is not None
    assert before != after
    return before, after


def test_a_changed_verifier_is_noticed_when_it_runs_and_not_before(
    tmp_path: Path, project: Path, endpoint: Endpoint
) -> None:
    place, folder = Place.make(tmp_path, project), project / "resources_servers" / "chaotic"
    tasks = write_tasks(tmp_path / "tasks.jsonl", [task(n) for n in range(2)])
    collecting = Collector(place, 0, tasks, tmp_path / "out" / "r.jsonl", ("+agent_name=chaotic_agent",))
    outdated = f"chaotic runs code that is no longer what {folder} holds: restart ng_run to use it"
    with processes.run(place, endpoint.url, project=project) as older:
        collecting.head_port = older.head_port
        before, after = change_code(folder)
        assert collecting.run() == 0, collecting.said()
        assert collecting.said().count(outdated) == 1
        assert json.loads(beside(collecting.output, "manifest.json").read_bytes())["code"]["chaotic"] == before
        assert collecting.run() == 0, "the same code runs, so it is the same collection"
    collecting.log.unlink()
    older.log.unlink()
    rows = collecting.output.read_bytes()
    with processes.run(place, endpoint.url, project=project) as newer:
        collecting.head_port = newer.head_port
        assert collecting.run() == 2
        assert f"code of chaotic: {before[:8]} → {after[:8]}" in collecting.said()
        assert outdated not in collecting.said()
        assert collecting.output.read_bytes() == rows
        assert collecting.run("+accept_changed_code=true") == 0, collecting.said()
    assert json.loads(beside(collecting.output, "manifest.json").read_bytes())["code"]["chaotic"] == after
    assert check_output(collecting.output, 2).scored == 2
