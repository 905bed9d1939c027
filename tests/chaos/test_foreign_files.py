"""Files that aren't the collector's own are refused before a byte of them changes; large ones don't make it deaf."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.chaos.conftest import MakeCollector
from tests.chaos.invariants import beside, check_output
from tests.chaos.processes import Collector, Endpoint, wait_for

NOTES = b"do not lose\nthe last line"


def assert_refused(collecting: Collector, said: str, *more: str) -> None:
    assert collecting.run(*more) == 2, collecting.said()
    assert said in collecting.said()
    assert "Traceback" not in collecting.said()


@pytest.mark.parametrize("name", ["r.jsonl", "r_failures.jsonl", "r_journal.jsonl", "r_metrics.json"])
def test_a_file_of_somebody_else_keeps_its_last_line(name: str, collector: MakeCollector) -> None:
    collecting = collector(2)
    path = collecting.output.parent / name
    path.parent.mkdir()
    path.write_bytes(NOTES)
    for more in ((), ("+overwrite=true",)):
        assert_refused(collecting, f"{name} was not written by a collector", *more)
    assert path.read_bytes() == NOTES
    assert os.listdir(path.parent) == [name]


@pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hard-link", "symlink"])
def test_the_task_file_under_another_name_is_not_an_output(link: Any, collector: MakeCollector) -> None:
    collecting = collector(3)
    before = collecting.tasks.read_bytes()
    collecting.output.parent.mkdir()
    link(collecting.tasks, collecting.output)
    for more in ((), ("+overwrite=true",)):
        assert_refused(collecting, "is the input file", *more)
    assert collecting.tasks.read_bytes() == before


def test_a_device_or_a_fifo_as_output_is_refused_and_not_read(collector: MakeCollector) -> None:
    collecting = collector(1)
    collecting.output.parent.mkdir()
    os.mkfifo(collecting.output)
    assert_refused(collecting, "is a FIFO, not a regular file")
    collecting.output = Path("/dev/full")
    assert_refused(collecting, "/dev/full is a device, not a regular file")


def test_a_second_collector_by_way_of_a_link_is_refused(endpoint: Endpoint, collector: MakeCollector) -> None:
    endpoint.set_faults({"kind": "silent", "when": {"last_user_matches": "Task [1-3]"}})
    collecting = collector(4)
    process = collecting.start()
    collecting.wait_for_rows(1)
    before = collecting.output.read_bytes()
    for link in (os.link, os.symlink):
        alias = collecting.output.with_name(f"{link.__name__}.jsonl")
        link(collecting.output, alias)
        second = Collector(
            collecting.place, collecting.head_port, collecting.tasks, alias, ("+agent_name=chaotic_agent",)
        )
        assert second.run("+overwrite=true") == 2, second.said()
        assert "another collector writes" in second.said()
        alias.unlink()
    assert collecting.output.read_bytes() == before
    process.kill()
    process.wait()
    assert check_output(collecting.output, 4, finished=False).scored == 1


def test_ctrl_c_while_a_large_output_is_read_is_heard_at_once(endpoint: Endpoint, collector: MakeCollector) -> None:
    rows = 200_000
    task = json.dumps({"responses_create_params": {"input": "hi"}})
    collecting = collector(1)
    collecting.tasks.write_text(f"{task}\n" * rows)
    process = collecting.start("+num_samples_in_parallel=1")
    collecting.wait_for_rows(1)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)
    done = collecting.output.read_bytes().count(b"\n")
    with collecting.output.open("ab") as file:
        for number in range(done, rows):
            file.write(b'{"reward":1.0,"_ng_task_index":%d,"_ng_rollout_index":0}\n' % number)
    metrics = beside(collecting.output, "metrics.json").read_bytes()
    process = collecting.start()
    wait_for(lambda: str(collecting.output) in opened_by(process.pid), 60.0, "reading has begun")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130, collecting.said()
    assert "stopped while files were being read" in collecting.said()
    assert beside(collecting.output, "metrics.json").read_bytes() == metrics
    assert collecting.run() == 0, collecting.said()
    assert f"resumed: {rows} of {rows}" in collecting.said()


def opened_by(pid: int) -> set[str]:
    """Return the files that a process has open."""
    try:
        return {file.path for file in psutil.Process(pid).open_files()}
    except psutil.Error:
        return set()
