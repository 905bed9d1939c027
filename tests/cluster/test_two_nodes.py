"""The quick form, part of `make test`: two nodes on addresses of loopback, a server on the one without the head."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import MODEL
from tests.cluster.networks import Loopback
from tests.cluster.nodes import ROOT, Nodes, run_on
from tests.free_port import free_port

_MCQA = ROOT / "resources_servers/mcqa"
_ROMAN = """
import roman
from nemo_gym.environments import Environment, Rollout


class RomanNumerals(Environment):
    async def reward(self, rollout: Rollout, number: int) -> float:
        return float(rollout.text == roman.toRoman(number))


if __name__ == "__main__":
    RomanNumerals.run_webserver()
"""


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    cluster = Nodes(Loopback(), tmp_path_factory.mktemp("cluster"), num_nodes=2, num_cpus=2, port=free_port())
    try:
        cluster.start_two()
        yield cluster
    finally:
        cluster.close()


def _task(answer: str, **fields: Any) -> str:
    asked = {"input": "?", "metadata": {"script": json.dumps([{"message": answer}])}}
    return json.dumps({"responses_create_params": asked, **fields}) + "\n"


def _placed(folder: Path, name: str, settings: str) -> str:
    path = folder / "placed.yaml"
    path.write_text(f"{name}: {{resources_servers: {{{name}: {{{settings}}}}}}}\n")
    return str(path)


def test_a_server_on_the_other_node_verifies_with_tasks_of_the_cluster(two_nodes: Nodes, tmp_path: Path) -> None:
    other = two_nodes.network.address(2)
    placed = _placed(tmp_path, "mcqa", f"ray_enabled: true, placement: {{node: {other}}}")
    question = {"options": [{"A": "oak"}, {"B": "elm"}], "expected_answer": "B"}
    template = {"template_metadata": {"output_regex": r"I say (\w)"}}
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(_task(f"I say {letter}", **question, **template) for letter in "ABAB"))
    head = f"+head_server.port={free_port()}"
    with run_on(two_nodes, tmp_path, str(_MCQA / "configs/mcqa.yaml"), str(MODEL), placed, head) as run:
        collect = run.collect_command(tasks, "mcqa_simple_agent", head)
        done = two_nodes.result_of(*collect, folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        status = two_nodes.result_of("ng_status", head, folder=tmp_path).stdout.splitlines()
    rewards = {row["_ng_task_index"]: row["reward"] for row in run.rows()}
    assert rewards == {0: 0.0, 1: 1.0, 2: 0.0, 3: 1.0}
    assert [line.split()[-1] for line in status if line.startswith("mcqa ")] == [other]
    assert "SIGTERM received" not in run.log.read_text()  # Ray's own handler would print a stack at an ordinary end


@pytest.mark.cluster  # asks a package index
def test_what_a_server_requires_is_installed_on_its_node(two_nodes: Nodes, tmp_path: Path) -> None:
    folder = tmp_path / "resources_servers/roman_numerals"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(_ROMAN)
    (folder / "requirements.txt").write_text("roman==5.1\n")
    placement = f"placement: {{node: {two_nodes.network.address(2)}}}"
    placed = _placed(tmp_path, "roman_numerals", f"entrypoint: app.py, {placement}")
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(_task("IX", number=9) + _task("IIX", number=8))
    head = f"+head_server.port={free_port()}"
    with run_on(two_nodes, tmp_path, str(MODEL), placed, head) as run:
        collect = run.collect_command(tasks, "roman_numerals_simple_agent", head)
        done = two_nodes.result_of(*collect, folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(row["reward"] for row in run.rows()) == [0.0, 1.0]
    assert len(list(two_nodes.home.glob("environments/*-node/lib/python*/site-packages/roman*"))) > 0

    (folder / "requirements.txt").write_text("roman==99.0\n")
    address = f"+ray_head_node_address={two_nodes.address}"
    done = two_nodes.result_of("ng_run", str(MODEL), placed, address, head, folder=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no version of roman==99.0" in done.stderr
    assert f"on node {two_nodes.network.address(2)}" in done.stderr
