"""One run and one endpoint for all cases that kill neither; every case leaves them as it found them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos import processes
from tests.chaos.invariants import assert_no_drafts, assert_nothing_left, processes_of
from tests.chaos.processes import Collector, Endpoint, Place, Run, task, write_tasks

MakeCollector = Callable[..., Collector]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.make(tmp_path_factory.mktemp("chaos"))


@pytest.fixture(scope="session")
def shared_endpoint(place: Place) -> Iterator[Endpoint]:
    with processes.endpoint(place) as started:
        yield started
    assert_nothing_left(place.home, [])


@pytest.fixture(scope="session")
def run(place: Place, shared_endpoint: Endpoint) -> Iterator[Run]:
    with processes.run(place, shared_endpoint.url) as started:
        ports = started.ports()
        yield started
    assert_nothing_left(place.home, ports, place.folder, place.home, but=[shared_endpoint.process.pid])


@pytest.fixture
def endpoint(shared_endpoint: Endpoint) -> Iterator[Endpoint]:
    """The shared endpoint, with its counters at 0 and without faults."""
    shared_endpoint.reset()
    yield shared_endpoint
    shared_endpoint.reset()


@pytest.fixture
def collector(run: Run, endpoint: Endpoint, tmp_path: Path) -> Iterator[MakeCollector]:
    """Make a collector for the shared run; afterwards only the run and the endpoint are left."""

    def make(rows: list[dict[str, object]] | int, *options: str, **more: object) -> Collector:
        tasks = [task(number) for number in range(rows)] if isinstance(rows, int) else rows
        path = write_tasks(tmp_path / "tasks.jsonl", tasks)
        output = tmp_path / "out" / "r.jsonl"
        # Cases count what the endpoint is asked, and make trouble that a check beforehand would refuse to start in.
        always = ("+agent_name=chaotic_agent", "+preflight=false")
        return Collector(run.place, run.head_port, path, output, (*always, *options), **more)

    run.wait_until_ready()
    yield make
    run.wait_until_ready()
    expected = {run.process.pid, endpoint.process.pid, *(i["pid"] for i in run.instances().values())}
    left = {pid: line for pid, line in processes_of(run.place.home).items() if pid not in expected}
    assert not left, f"left running: {left}"
    assert_no_drafts(tmp_path)
