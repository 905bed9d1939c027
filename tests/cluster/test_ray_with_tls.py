"""A cluster whose own traffic is encrypted, as Ray's variables say."""

from pathlib import Path

import pytest

from tests.certificates import make_certificates
from tests.cluster.conftest import MODEL, WEATHER
from tests.cluster.networks import Loopback
from tests.cluster.nodes import Nodes, run_on

pytestmark = pytest.mark.cluster


def test_a_run_joins_a_cluster_that_encrypts(tmp_path: Path) -> None:
    network = Loopback()
    files = make_certificates(tmp_path / "certificates", "127.0.0.1", network.address(1))
    paths = {"SERVER_CERT": files["cert"], "SERVER_KEY": files["key"], "CA_CERT": files["ca"]}
    nodes = Nodes(network, tmp_path / "home", num_nodes=1)
    nodes.home.mkdir()
    nodes.environment |= {"RAY_USE_TLS": "1", **{f"RAY_TLS_{name}": str(path) for name, path in paths.items()}}
    placed = tmp_path / "placed.yaml"
    placed.write_text("example_simple_weather: {resources_servers: {example_simple_weather: {placement: {}}}}")
    try:
        nodes.start_node(1)
        with run_on(nodes, tmp_path, str(WEATHER / "configs/simple_weather.yaml"), str(MODEL), str(placed)) as run:
            assert [i["node"] for i in run.instances() if i["node"]] == [network.address(1)]
        nodes.environment["RAY_USE_TLS"] = "0"
        address = f"+ray_head_node_address={nodes.address}"
        config = str(WEATHER / "configs/simple_weather.yaml")
        plain = nodes.result_of("ng_run", config, str(MODEL), str(placed), address, folder=tmp_path)
        assert (plain.returncode, "something else than the head" in plain.stderr) == (2, True), plain.stderr
    finally:
        nodes.close()
