"""Rollouts whose servers are on three nodes; a node that is killed or cut off in the middle of them."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.bounds import HANGS_AFTER_S
from tests.cluster.conftest import COUNTER, COUNTER_AGENT, COUNTER_SERVER, MODEL, WEATHER, write_counter_tasks
from tests.cluster.networks import Namespaces
from tests.cluster.nodes import ClusterRun, Nodes, run_on, wait_until

pytestmark = pytest.mark.cluster

_COUNTER_CONFIG = str(COUNTER / "configs/stateful_counter.yaml")
_NUM_ROLLOUTS = 500
_CUT_S = 30.0


def test_rollouts_that_keep_state_are_spread_over_three_nodes_with_their_sessions(
    nodes: Nodes, three_counters: Path, tmp_path: Path
) -> None:
    tasks = write_counter_tasks(tmp_path / "tasks.jsonl", 60, latency_s=0.02)
    with run_on(nodes, tmp_path, _COUNTER_CONFIG, str(MODEL), str(three_counters)) as run:
        where = {i["node"] for i in run.instances() if i["name"] == COUNTER_SERVER}
        assert where == {nodes.network.address(node) for node in (1, 2, 3)}
        done = nodes.result_of(*run.collect_command(tasks, COUNTER_AGENT, "+num_repeats=2"), folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [row["reward"] for row in run.rows()] == [1.0] * 120


def test_a_set_of_all_servers_is_put_on_every_node(nodes: Nodes, tmp_path: Path) -> None:
    options = ("+colocate=true", "+placement={every_node: true}")
    with run_on(nodes, tmp_path, str(WEATHER / "configs/simple_weather.yaml"), str(MODEL), *options) as run:
        instances = run.instances()
        assert len({i["node"] for i in instances}) == 3
        assert len(instances) == 9
        collect = run.collect_command(WEATHER / "data/example.jsonl", "simple_weather_simple_agent", "+num_repeats=12")
        done = nodes.result_of(*collect, folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [row["reward"] for row in run.rows()] == [1.0] * 60


def test_a_killed_node_loses_no_rollout(nodes: Nodes, three_counters: Path, tmp_path: Path) -> None:
    tasks = write_counter_tasks(tmp_path / "tasks.jsonl", _NUM_ROLLOUTS, latency_s=0.5)
    with run_on(nodes, tmp_path, _COUNTER_CONFIG, str(MODEL), str(three_counters)) as run:
        collector = _collecting(run, tasks)
        try:
            nodes.kill_node(3)
            assert collector.wait(4 * HANGS_AFTER_S) == 0, (tmp_path / "collect.log").read_text()
        finally:
            nodes.start_node(3)
        _all_settled_right(run)
        lost = nodes.network.address(3)
        assert lost not in {i["node"] for i in run.instances()}
        assert f"was lost with its node {lost}" in run.log.read_text()
        assert "is ready again" in run.log.read_text()
        assert "(raylet)" not in run.log.read_text()  # nor pages of the lost node's own log


def test_a_node_that_is_cut_off_for_half_a_minute_loses_no_rollout(
    nodes: Nodes, three_counters: Path, tmp_path: Path
) -> None:
    if not isinstance(nodes.network, Namespaces):
        pytest.skip("network namespaces can't be made here, so no node can be cut off")
    tasks = write_counter_tasks(tmp_path / "tasks.jsonl", _NUM_ROLLOUTS, latency_s=0.5)
    with run_on(nodes, tmp_path, _COUNTER_CONFIG, str(MODEL), str(three_counters)) as run:
        collector = _collecting(run, tasks)
        nodes.network.set_connected(3, is_connected=False)
        try:
            time.sleep(_CUT_S)
        finally:
            nodes.network.set_connected(3, is_connected=True)
        assert collector.wait(4 * HANGS_AFTER_S) == 0, (tmp_path / "collect.log").read_text()
        _all_settled_right(run)


def _collecting(run: ClusterRun, tasks: Path) -> "subprocess.Popen[bytes]":
    """Start to collect, and return when some rollouts are done and many are running."""
    command = run.collect_command(tasks, COUNTER_AGENT, "+num_samples_in_parallel=64")
    collector = run.nodes.start(*command, folder=run.folder, log=run.folder / "collect.log")
    rollouts = run.folder / "rollouts.jsonl"
    wait_until(lambda: rollouts.exists() and len(rollouts.read_bytes().splitlines()) > 20, "some rollouts are done")
    return collector


def _all_settled_right(run: ClusterRun) -> None:
    rows = run.rows()
    keys = {(row["_ng_task_index"], row["_ng_rollout_index"]) for row in rows}
    assert len(rows) == len(keys) == _NUM_ROLLOUTS
    assert {row["reward"] for row in rows} == {1.0}  # lost work was done again, and no loss was scored
    counts = run.metrics()
    assert (counts["expected"], counts["scored"], counts["failed"]) == (_NUM_ROLLOUTS, _NUM_ROLLOUTS, 0)
