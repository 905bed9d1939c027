"""Heavy work on several raylets: a node that is lost takes no result with it, and gives none."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from nemo_gym.environments import HeavyWork, HeavyWorkConfig
from nemo_gym.wire.failure import RolloutError
from tests.bounds import HANGS_AFTER_S
from tests.unit.environments import heavy_functions as work
from tests.unit.environments.heavy_waits import gone, started

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that runs no work, and one node."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
async def heavy(cluster: Any) -> AsyncIterator[HeavyWork]:
    one = HeavyWork(HeavyWorkConfig(), on_cluster=True)
    yield one
    await one.close()


async def test_work_of_a_node_that_is_lost_is_done_by_another(cluster: Any, heavy: HeavyWork, tmp_path: Path) -> None:
    doing = asyncio.create_task(heavy.run(work.sleep_the_first_time, str(tmp_path / "note")))
    pid = await started(tmp_path / "note")
    (node,) = cluster.worker_nodes
    cluster.remove_node(node, allow_graceful=False)
    await gone(pid)
    cluster.add_node(num_cpus=1)  # it sets signal handlers, which only the main thread may
    async with asyncio.timeout(2 * HANGS_AFTER_S):
        assert await doing != pid


async def test_work_of_processes_that_are_lost_again_and_again_is_a_failure(heavy: HeavyWork) -> None:
    with pytest.raises(RolloutError, match="lost") as raised:
        await heavy.run(work.lose_parent)
    assert raised.value.failure.kind == "server_died"
    assert await heavy.run(work.double, 4) == 8


async def test_nodes_that_come_later_take_work(cluster: Any, heavy: HeavyWork, tmp_path: Path) -> None:
    first = asyncio.create_task(heavy.run(work.sleep, str(tmp_path / "first")))
    await started(tmp_path / "first")
    second = asyncio.create_task(heavy.run(work.sleep, str(tmp_path / "second")))
    cluster.add_node(num_cpus=1)  # it sets signal handlers, which only the main thread may
    pid = await started(tmp_path / "second")
    for call in (first, second):
        call.cancel()
    await gone(pid)
