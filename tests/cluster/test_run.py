"""A run on a cluster as its owner sees it: its end, its logs, its state, its use from actors, mistakes."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.bounds import HANGS_AFTER_S
from tests.cluster.conftest import MODEL, WEATHER
from tests.cluster.networks import Namespaces
from tests.cluster.nodes import BIN, Nodes, run_on, server_processes, wait_until

pytestmark = pytest.mark.cluster

_WEATHER_CONFIG = str(WEATHER / "configs/simple_weather.yaml")
_GONE_WITHIN_S = 30.0


def _placed_weather(folder: Path, placement: str) -> str:
    path = folder / "placed.yaml"
    settings = f"num_workers: 3, placement: {placement}"
    path.write_text(f"example_simple_weather: {{resources_servers: {{example_simple_weather: {{{settings}}}}}}}")
    return str(path)


def test_status_and_logs_tell_of_nodes(nodes: Nodes, tmp_path: Path) -> None:
    placed = _placed_weather(tmp_path, "{num_cpus: 1}")
    with run_on(nodes, tmp_path, _WEATHER_CONFIG, str(MODEL), placed) as run:
        status = nodes.result_of("ng_status", folder=tmp_path)
        assert status.returncode == 0, status.stdout
        instances = [i for i in run.instances() if i["name"] == "example_simple_weather"]
        assert {i["node"] for i in instances} == {nodes.network.address(node) for node in (1, 2, 3)}
        assert all(str(i["node"]) in status.stdout for i in instances)
        victim = instances[0]
        os.kill(victim["pid"], signal.SIGKILL)
        wait_until(lambda: b"is ready again" in run.log.read_bytes(), "the killed worker is back")
        assert "restarts" in nodes.result_of("ng_status", folder=tmp_path).stdout
        printed = run.log.read_text()
        assert f"example_simple_weather.{victim['worker']} was ended by SIGKILL while running" in printed


def test_packed_workers_are_together_while_there_is_room(nodes: Nodes, tmp_path: Path) -> None:
    placed = _placed_weather(tmp_path, "{num_cpus: 1, strategy: pack}")
    with run_on(nodes, tmp_path, _WEATHER_CONFIG, str(MODEL), placed) as run:
        assert len({i["node"] for i in run.instances() if i["node"]}) == 1


def test_nothing_is_left_on_any_node_when_the_process_of_the_head_is_killed(nodes: Nodes, tmp_path: Path) -> None:
    placed = _placed_weather(tmp_path, "{num_cpus: 1}")
    with run_on(nodes, tmp_path, _WEATHER_CONFIG, str(MODEL), placed) as run:
        assert len(server_processes(nodes.home)) == 5
        run.process.kill()
        wait_until(lambda: not server_processes(nodes.home), "every server is gone", _GONE_WITHIN_S)


_ACTORS = """
import asyncio, json, os, sys
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

ray.init(address=sys.argv[1], log_to_driver=False)
root, tasks = sys.argv[2:]

class Servers:
    def start(self):
        from omegaconf import DictConfig
        from nemo_gym.cli import GlobalConfigDictParserConfig, RunHelper
        paths = [root + "/resources_servers/example_simple_weather/configs/simple_weather.yaml",
                 root + "/responses_api_models/scripted_model/configs/scripted_model.yaml"]
        self.helper = RunHelper()
        self.helper.start(GlobalConfigDictParserConfig(
            skip_load_from_cli=True, skip_load_from_dotenv=True,
            initial_global_config_dict=DictConfig({"config_paths": paths})))
        head = self.helper.head_server_config
        return head.host, head.port, self.helper.run_token
    def stop(self):
        self.helper.shutdown()

class Collector:
    async def collect(self, host, port, token):
        from nemo_gym.config_types import BaseServerConfig
        from nemo_gym.rollout_collection import RolloutCollectionHelper
        os.environ["NEMO_GYM_RUN_TOKEN"] = token
        rows = [json.loads(line) for line in open(tasks)]
        agent = {"type": "responses_api_agents", "name": "simple_weather_simple_agent"}
        rows = [{**row, "agent_ref": agent} for row in rows]
        head = BaseServerConfig(host=host, port=port)
        results = [await one for one in RolloutCollectionHelper().run_examples(rows, head)]
        return [result["reward"] for _, result in results]

ids = {node["NodeManagerAddress"]: node["NodeID"] for node in ray.nodes()}
first, second = sorted(ids)[1:3]
servers = ray.remote(Servers).options(num_cpus=0, scheduling_strategy=On(ids[first], soft=False)).remote()
collector = ray.remote(Collector).options(num_cpus=0, scheduling_strategy=On(ids[second], soft=False)).remote()
host, port, token = ray.get(servers.start.remote())
assert host == first, host
print(json.dumps(ray.get(collector.collect.remote(host, port, token))))
ray.get(servers.stop.remote())
"""


def test_one_actor_starts_the_servers_and_another_on_another_node_collects(nodes: Nodes, tmp_path: Path) -> None:
    script = tmp_path / "actors.py"
    script.write_text(_ACTORS)
    root = str(WEATHER.parents[1])
    tasks = str(WEATHER / "data/example.jsonl")
    done = nodes.result_of("python", str(script), nodes.address, root, tasks, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [1.0] * 5
    wait_until(lambda: not server_processes(nodes.home), "the servers are stopped", HANGS_AFTER_S)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["+ray_head_node_address=10.199.0.1:1"], ["no Ray cluster answers at 10.199.0.1:1", "Connection refused"]),
        (["+ray_head_node_address=ray://10.199.0.1:6399"], ["isn't the address of a Ray cluster's head"]),
        (["+placement={node: mars}", "+colocate=true"], ["the cluster has no node 'mars'", "CPU 3"]),
        (["+placement={num_gpus: 2}", "+colocate=true"], ["no node of the cluster has CPU 1, GPU 2", "CPU 3"]),
        (["+placement={resources: {tpu: 1}}", "+colocate=true"], ["no node of the cluster has CPU 1, tpu 1"]),
        (["+placement={}", "+colocate=true", "+auth=none"], ["auth=none, but servers of this run listen"]),
    ],
)
def test_what_the_cluster_cannot_give_is_said_in_one_line(
    nodes: Nodes, tmp_path: Path, options: list[str], said: list[str]
) -> None:
    named = any("ray_head_node_address" in option for option in options)
    where = [] if named else [f"+ray_head_node_address={nodes.address}"]
    done = nodes.result_of("ng_run", _WEATHER_CONFIG, str(MODEL), *where, *options, folder=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    for words in said:
        assert words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_a_machine_that_is_not_a_node_is_told_to_become_one(nodes: Nodes, tmp_path: Path) -> None:
    if not isinstance(nodes.network, Namespaces):
        pytest.skip("needs root: processes of nodes are hidden in a namespace")
    alone = (shutil.which("unshare") or "", "--pid", "--fork", "--mount-proc", str(BIN / "ng_run"))
    address = f"+ray_head_node_address={nodes.address}"
    done = nodes.result_of(*alone, _WEATHER_CONFIG, str(MODEL), address, folder=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"this machine isn't a node of the Ray cluster at {nodes.address}" in done.stderr


def test_a_node_with_another_version_of_a_package_is_named(nodes: Nodes, tmp_path: Path) -> None:
    fake = tmp_path / "other" / "orjson-0.0.1.dist-info"
    fake.mkdir(parents=True)
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: orjson\nVersion: 0.0.1\n")
    nodes.kill_node(2)
    nodes.start_node(2, '--resources={"odd": 1}', environment={"PYTHONPATH": str(fake.parent)})
    try:
        address = f"+ray_head_node_address={nodes.address}"
        options = ("+colocate=true", "+placement={resources: {odd: 0.1}}")
        done = nodes.result_of("ng_run", _WEATHER_CONFIG, str(MODEL), address, *options, folder=tmp_path)
    finally:
        nodes.kill_node(2)
        nodes.start_node(2)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"node {nodes.network.address(2)} doesn't have the packages of this machine: orjson" in done.stderr
    assert "there: 0.0.1" in done.stderr
