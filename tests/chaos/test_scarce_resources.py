"""Case 8: out of descriptors; a full disk."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import processes
from tests.chaos.conftest import MakeCollector
from tests.chaos.invariants import assert_nothing_left, check_output
from tests.chaos.processes import Collector, Endpoint, Place, task, write_tasks
from tests.chaos.sizes import SHORT_OR_SOAK
from tests.free_port import free_port


def with_descriptors(count: int) -> tuple[str, ...]:
    """Return the words before a command that may have so many descriptors, and no more by its own wish."""
    return ("bash", "-c", f'ulimit -n {count}; exec "$@"', "bash")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds 256 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    )
    if not mounted:
        pytest.skip("cannot mount a tmpfs here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("full", SHORT_OR_SOAK)
def test_a_collector_out_of_descriptors_is_slower_and_complete(
    full: bool, endpoint: Endpoint, collector: MakeCollector
) -> None:
    expected, descriptors = (400, 256) if full else (160, 100)
    endpoint.set_faults({"kind": "slow", "latency_s": 0.3})
    collecting = collector(expected, f"+num_samples_in_parallel={expected}", prefix=with_descriptors(descriptors))
    assert collecting.run() == 0, collecting.said()
    assert check_output(collecting.output, expected).scored == expected


@pytest.mark.parametrize("descriptors", [60, 128])
def test_servers_with_fewer_descriptors_than_rollouts_in_flight_let_the_others_wait(
    descriptors: int, shared_endpoint: Endpoint, tmp_path: Path
) -> None:
    shared_endpoint.reset()
    place, output = Place.make(tmp_path), tmp_path / "out" / "r.jsonl"
    tasks = write_tasks(tmp_path / "tasks.jsonl", [task(number) for number in range(300)])
    with processes.run(place, shared_endpoint.url, prefix=with_descriptors(descriptors)) as started:
        options = ("+agent_name=chaotic_agent", "+num_samples_in_parallel=300", "+max_attempts=1")
        collecting = Collector(place, started.head_port, tasks, output, options)
        assert collecting.run() == 0, collecting.said()
        assert f"as many as {descriptors} descriptors allow: others wait" in started.log.read_text()
        ports = started.ports()
    assert check_output(output, 300).scored == 300
    assert_nothing_left(place.home, ports, tmp_path / "out")


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_servers_out_of_descriptors_are_slower_and_complete(shared_endpoint: Endpoint, tmp_path: Path) -> None:
    shared_endpoint.reset()
    shared_endpoint.set_faults({"kind": "slow", "latency_s": 0.3})
    place, port, output = Place.make(tmp_path), free_port(), tmp_path / "out" / "r.jsonl"
    tasks = write_tasks(tmp_path / "tasks.jsonl", [task(number) for number in range(400)])
    options = ("+agent_name=chaotic_agent", *processes.run_arguments(shared_endpoint.url, port))
    everything = Collector(place, port, tasks, output, options, with_descriptors(256), "ng_e2e_collect_rollouts")
    assert everything.run(bound_s=240) == 0, everything.said()
    assert check_output(output, 400).scored == 400
    assert_nothing_left(place.home, [port], tmp_path / "out")


@pytest.mark.parametrize("full", SHORT_OR_SOAK)
def test_a_full_disk_is_reported_and_the_output_is_whole_and_can_be_resumed(
    full: bool, small_disk: Path, endpoint: Endpoint, collector: MakeCollector
) -> None:
    expected = 500 if full else 120
    rows = [task(number, ballast="x" * 4_000) for number in range(expected)]
    collecting = collector(rows, "+num_samples_in_parallel=16")
    collecting.output = small_disk / "r.jsonl"
    assert collecting.run() == 1, collecting.said()
    assert "No space left" in collecting.said()
    assert "Traceback" not in collecting.said()
    tally = check_output(collecting.output, expected, finished=False)
    assert 0 < tally.scored < expected
    before = endpoint.stats()["attempts_by_key"]
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert collecting.run() == 0, collecting.said()
    assert check_output(collecting.output, expected).scored == expected
    after = endpoint.stats()["attempts_by_key"]
    settled = [f"task-{row['_ng_task_index']}" for row in tally.rows]
    assert [after[key] for key in settled] == [before[key] for key in settled], "a settled rollout was asked again"
