"""TLS between nodes: servers that move, drivers on nodes, and a node whose certificate names others."""

import os
import signal
from pathlib import Path

import pytest

from tests.bounds import HANGS_AFTER_S
from tests.certificates import make_certificates, tls_overrides
from tests.cluster.conftest import COUNTER, COUNTER_AGENT, COUNTER_SERVER, MODEL, write_counter_tasks
from tests.cluster.nodes import Nodes, run_on, wait_until

pytestmark = pytest.mark.cluster

_COUNTER_CONFIG = str(COUNTER / "configs/stateful_counter.yaml")
_NUM_ROLLOUTS = 60


def test_rollouts_and_drivers_on_three_nodes_although_a_server_is_killed(
    nodes: Nodes, three_counters: Path, tmp_path: Path
) -> None:
    addresses = [nodes.network.address(node) for node in (1, 2, 3)]
    files = tls_overrides(make_certificates(tmp_path / "certificates", "127.0.0.1", *addresses))
    tasks = write_counter_tasks(tmp_path / "tasks.jsonl", _NUM_ROLLOUTS, latency_s=0.2)
    with run_on(nodes, tmp_path, _COUNTER_CONFIG, str(MODEL), str(three_counters), *files) as run:
        workers = [instance for instance in run.instances() if instance["name"] == COUNTER_SERVER]
        assert {worker["node"] for worker in workers} == set(addresses)
        assert all(worker["url"].startswith("https://") for worker in workers)
        log, rollouts = tmp_path / "collect.log", tmp_path / "rollouts.jsonl"
        options = ("+num_drivers=3", f"+ray_head_node_address={nodes.address}", "+num_samples_in_parallel=12")
        command = run.collect_command(tasks, COUNTER_AGENT, "+max_attempts=6", *options)
        collector = nodes.start(*command, folder=tmp_path, log=log)
        wait_until(lambda: rollouts.exists() and rollouts.read_bytes().count(b"\n") > 5, f"some are done; see {log}")
        os.kill(workers[2]["pid"], signal.SIGKILL)
        assert collector.wait(4 * HANGS_AFTER_S) == 0, log.read_text()
        rows = run.rows()
        assert len({row["_ng_task_index"] for row in rows}) == len(rows) == _NUM_ROLLOUTS
        assert {row["reward"] for row in rows} == {1.0}
        assert nodes.result_of("ng_status", folder=tmp_path).returncode == 0


def test_a_certificate_without_the_address_of_a_node_is_a_mistake(
    nodes: Nodes, three_counters: Path, tmp_path: Path
) -> None:
    first, third = nodes.network.address(1), nodes.network.address(3)
    files = tls_overrides(make_certificates(tmp_path / "certificates", "127.0.0.1", first, nodes.network.address(2)))
    address = f"+ray_head_node_address={nodes.address}"
    done = nodes.result_of("ng_run", _COUNTER_CONFIG, str(MODEL), str(three_counters), address, *files, folder=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"on node {third} callers would not accept" in done.stderr
    assert f"as {third}: IP address mismatch" in done.stderr
