"""One cluster of three nodes for all tests of a module; whoever kills a node starts it again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.networks import Loopback, Namespaces, Network, may_make_namespaces
from tests.cluster.nodes import ROOT, Nodes

WEATHER = ROOT / "resources_servers/example_simple_weather"
COUNTER = ROOT / "resources_servers/example_stateful_counter"
MODEL = ROOT / "responses_api_models/scripted_model/configs/scripted_model.yaml"
COUNTER_AGENT = "stateful_counter_simple_agent"
COUNTER_SERVER = "example_stateful_counter_resources_server"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    network: Network = Namespaces(3) if may_make_namespaces() else Loopback()
    print(f"the cluster uses {network.kind}")
    cluster = Nodes(network, tmp_path_factory.mktemp("cluster"), num_nodes=3)
    try:
        for node in (1, 2, 3):
            cluster.start_node(node)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def three_counters(tmp_path: Path) -> Path:
    """Return a configuration that puts a worker of the counter on each of three nodes."""
    path = tmp_path / "placement.yaml"
    path.write_text(f"""
{COUNTER_SERVER}:
  resources_servers:
    example_stateful_counter:
      num_workers: 3
      placement: {{num_cpus: 1}}
""")
    return path


def write_counter_tasks(path: Path, number: int, latency_s: float) -> Path:
    """Write tasks whose reward is 1 only where all calls of a rollout reached the same session."""
    example = json.loads((COUNTER / "data/example.jsonl").read_text().splitlines()[0])
    with path.open("w") as file:
        for index in range(number):
            first, second = index % 7 + 1, index % 5 + 1
            script = [
                {"call": {"name": "increment_counter", "arguments": {"count": first}}, "latency_s": latency_s},
                {"call": {"name": "increment_counter", "arguments": {"count": second}}, "latency_s": latency_s},
                {"call": {"name": "get_counter_value", "arguments": {}}, "latency_s": latency_s},
                {"message": "Done.", "latency_s": latency_s},
            ]
            asked = {**example["responses_create_params"], "metadata": {"script": json.dumps(script)}}
            row = {**example, "responses_create_params": asked}
            row |= {"initial_count": index, "expected_count": index + first + second}
            file.write(json.dumps(row) + "\n")
    return path
