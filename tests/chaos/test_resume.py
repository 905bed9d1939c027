"""Case 10: what may be resumed and what may not; one collector at a time; a truncated line."""

import pytest

from tests.chaos.conftest import MakeCollector
from tests.chaos.invariants import beside, check_output
from tests.chaos.processes import Collector, Endpoint, task, write_tasks


@pytest.fixture
def finished(endpoint: Endpoint, collector: MakeCollector) -> Collector:
    collecting = collector(4, "+responses_create_params.temperature=0.5")
    assert collecting.run() == 0, collecting.said()
    return collecting


def test_resuming_onto_something_else_is_refused_and_says_what_differs(finished: Collector, endpoint: Endpoint) -> None:
    before = finished.output.read_bytes()
    assert finished.run("+responses_create_params.temperature=0.7") == 2
    assert "responses_create_params.temperature: 0.5 → 0.7" in finished.said()
    write_tasks(finished.tasks, [task(0), task(1), task(2), task(9)])
    assert finished.run() == 2
    assert "1 task row changed (index 3)" in finished.said()
    finished.options = ("+responses_create_params.temperature=0.5",)
    write_tasks(finished.tasks, [{**task(n), "agent_ref": {"name": "chaotic_agent"}} for n in range(4)])
    assert finished.run() == 2
    assert "agent_name: 'chaotic_agent' → None" in finished.said()
    assert finished.output.read_bytes() == before, "a refused resume changed the output"


def test_a_changed_port_or_key_does_not_prevent_a_resume(finished: Collector, endpoint: Endpoint) -> None:
    manifest = beside(finished.output, "manifest.json").read_text()
    assert "policy_base_url" not in manifest
    assert endpoint.url not in manifest
    assert "api_key" not in manifest
    assert all(f'"{word}' not in manifest for word in ("port", "host"))
    assert finished.run() == 0, finished.said()
    assert "resumed: 4 of 4" in finished.said()


def test_a_second_collector_on_the_same_output_refuses(endpoint: Endpoint, collector: MakeCollector) -> None:
    endpoint.set_faults({"kind": "silent", "when": {"last_user_matches": "Task [2-5]"}})
    collecting = collector(6)
    process = collecting.start()
    collecting.wait_for_rows(2)
    assert collecting.run() == 2
    assert "another collector writes" in collecting.said()
    assert collecting.run("+overwrite=true") == 2, "and does not move the files away either"
    process.kill()
    process.wait()
    assert check_output(collecting.output, 6, finished=False).scored == 2


def test_a_truncated_last_line_is_removed_reported_and_its_rollout_run_again(
    finished: Collector, endpoint: Endpoint
) -> None:
    whole = finished.output.read_bytes().splitlines(keepends=True)
    finished.output.write_bytes(b"".join(whole[:3]) + whole[3][:100])
    before = endpoint.stats()["requests"]
    assert finished.run() == 0, finished.said()
    assert "cut off a truncated last line" in finished.said()
    assert check_output(finished.output, 4).scored == 4
    assert endpoint.stats()["requests"] == before + 2


def test_a_row_that_is_not_a_task_fails_with_its_line_and_the_others_run(
    endpoint: Endpoint, collector: MakeCollector
) -> None:
    collecting = collector(3)
    with collecting.tasks.open("a") as file:
        file.write('{"responses_create_params": \n[1]\n{}\n')
    assert collecting.run() == 1, collecting.said()
    tally = check_output(collecting.output, 6)
    assert (tally.scored, tally.failed) == (3, {"input_invalid": 3})
    assert [f"line {n} " in f["failure_reason"] for n, f in zip((4, 5, 6), tally.failures, strict=True)] == [True] * 3
    assert collecting.run() == 1, "they stay failures"
    assert check_output(collecting.output, 6).failed == {"input_invalid": 3}
