"""A collection with drivers on three nodes, one of which is killed; and drivers that could not reach the servers."""

from pathlib import Path

import pytest

from tests.bounds import HANGS_AFTER_S
from tests.cluster.conftest import COUNTER, COUNTER_AGENT, MODEL, WEATHER, write_counter_tasks
from tests.cluster.nodes import Nodes, run_on, wait_until

pytestmark = pytest.mark.cluster

_NUM_ROLLOUTS = 200


def test_drivers_on_three_nodes_settle_every_rollout_once_although_a_node_is_lost(
    nodes: Nodes, three_counters: Path, tmp_path: Path
) -> None:
    tasks = write_counter_tasks(tmp_path / "tasks.jsonl", _NUM_ROLLOUTS, latency_s=0.3)
    with run_on(
        nodes, tmp_path, str(COUNTER / "configs/stateful_counter.yaml"), str(MODEL), str(three_counters)
    ) as run:
        log, rollouts = tmp_path / "collect.log", tmp_path / "rollouts.jsonl"
        options = ("+num_drivers=3", f"+ray_head_node_address={nodes.address}", "+num_samples_in_parallel=48")
        command = run.collect_command(tasks, COUNTER_AGENT, "+max_attempts=6", *options)
        collector = nodes.start(*command, folder=tmp_path, log=log)
        wait_until(lambda: rollouts.exists() and rollouts.read_bytes().count(b"\n") > 20, f"some are done; see {log}")
        nodes.kill_node(3)
        try:
            assert collector.wait(4 * HANGS_AFTER_S) == 0, log.read_text()
        finally:
            nodes.start_node(3)
        assert (
            f"a driver of the collection (on node {nodes.network.address(3)}) was lost while it ran" in log.read_text()
        )
        assert "(raylet)" not in log.read_text()
        rows = run.rows()
        assert len({row["_ng_task_index"] for row in rows}) == len(rows) == _NUM_ROLLOUTS
        assert {row["reward"] for row in rows} == {1.0}
        assert run.metrics()["scored"] == _NUM_ROLLOUTS


def test_drivers_on_other_nodes_are_refused_where_the_servers_listen_on_one_machine_alone(
    nodes: Nodes, tmp_path: Path
) -> None:
    with run_on(nodes, tmp_path, str(WEATHER / "configs/simple_weather.yaml"), str(MODEL)) as run:
        options = ("+num_drivers=2", f"+ray_head_node_address={nodes.address}")
        command = run.collect_command(WEATHER / "data/example.jsonl", "simple_weather_simple_agent", *options)
        done = nodes.result_of(*command, folder=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "listens on its own machine alone" in done.stderr
