"""Case 1: SIGKILL for each server, and for the head, while rollouts are inside."""

from pathlib import Path

import pytest

from tests.bounds import HANGS_AFTER_S
from tests.chaos import processes
from tests.chaos.conftest import MakeCollector
from tests.chaos.invariants import assert_nothing_left, check_output
from tests.chaos.processes import Endpoint, Place, Run
from tests.chaos.sizes import SHORT_OR_SOAK

IN_PARALLEL = "+num_samples_in_parallel=16"
FULL = [pytest.mark.soak, pytest.mark.timeout(900)]
# agent_error: the agent, told to stop, answers what runs inside it with a bare 500.
INFRASTRUCTURE = {"server_died", "transport_dropped", "transport_unreachable", "agent_error"}
SLOW = {"kind": "slow", "latency_s": 0.1}


@pytest.mark.parametrize(
    ("expected", "killed"),
    [
        pytest.param(60, ["chaotic_agent", "policy_model", "chaotic"], id="short"),
        pytest.param(500, ["chaotic_agent"], id="agent", marks=FULL),
        pytest.param(500, ["policy_model"], id="model", marks=FULL),
        pytest.param(500, ["chaotic"], id="resources", marks=FULL),
    ],
)
def test_a_killed_server_is_restarted_and_the_rollouts_inside_run_again(
    expected: int, killed: list[str], run: Run, endpoint: Endpoint, collector: MakeCollector
) -> None:
    endpoint.set_faults(SLOW)
    collecting = collector(expected, IN_PARALLEL)
    process = collecting.start()
    for number, name in enumerate(killed, start=1):
        collecting.wait_for_rows(number * expected // 5)
        run.wait_until_ready()
        run.kill(name)
    assert process.wait(timeout=processes.COLLECT_BOUND_S) == 0, collecting.said()
    tally = check_output(collecting.output, expected)
    assert tally.scored == expected
    assert {row["reward"] for row in tally.rows} == {1.0}


@pytest.mark.parametrize("full", SHORT_OR_SOAK)
def test_a_killed_head_takes_its_servers_along_and_another_run_can_resume(
    full: bool, run: Run, endpoint: Endpoint, collector: MakeCollector, tmp_path: Path
) -> None:
    expected = 500 if full else 40
    endpoint.set_faults(SLOW)
    collecting = collector(expected, IN_PARALLEL, "+max_attempts=1")
    (tmp_path / "other").mkdir()
    place = Place.make(tmp_path / "other")
    with processes.run(place, endpoint.url) as doomed:
        ports = doomed.ports()
        collecting.place, collecting.head_port = place, doomed.head_port
        process = collecting.start("+time_budget_s=3")
        collecting.wait_for_rows(5)
        doomed.process.kill()
        assert process.wait(timeout=HANGS_AFTER_S) == 1, collecting.said()
    tally = check_output(collecting.output, expected)
    assert tally.failed or tally.not_settled
    assert set(tally.failed) <= INFRASTRUCTURE
    assert_nothing_left(place.home, ports, tmp_path, place.home)
    collecting.place, collecting.head_port = run.place, run.head_port
    assert collecting.run() == 0, collecting.said()
    assert check_output(collecting.output, expected).scored == expected
