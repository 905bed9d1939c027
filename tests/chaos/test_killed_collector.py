"""Cases 2 and 3: the collector is killed, interrupted, terminated; each time it is resumed."""

import random
import signal
import time

import pytest

from tests.bounds import HANGS_AFTER_S
from tests.chaos.conftest import MakeCollector
from tests.chaos.invariants import beside, check_output, read_whole_lines
from tests.chaos.processes import Endpoint, wait_for
from tests.chaos.sizes import SHORT_OR_SOAK

IN_PARALLEL = 8


@pytest.mark.parametrize("full", SHORT_OR_SOAK)
def test_a_collector_killed_again_and_again_settles_every_rollout_once(
    full: bool, endpoint: Endpoint, collector: MakeCollector
) -> None:
    expected, kills = (500, 10) if full else (60, 3)
    endpoint.set_faults({"kind": "slow", "latency_s": 0.05})
    collecting = collector(expected, f"+num_samples_in_parallel={IN_PARALLEL}")
    chance = random.Random(1)
    rows = 0
    for _ in range(kills):
        process = collecting.start()
        rows += expected // (kills + 1)
        collecting.wait_for_rows(rows)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.wait()
    assert collecting.run() == 0, collecting.said()
    assert check_output(collecting.output, expected).scored == expected
    sent = [row["_ng_task_index"] for row in read_whole_lines(beside(collecting.output, "materialized_inputs.jsonl"))]
    assert sorted(sent) == list(range(expected)), "each row that was sent is kept once"
    _assert_only_what_was_cut_off_was_asked_again(endpoint, expected, kills)


def _assert_only_what_was_cut_off_was_asked_again(endpoint: Endpoint, expected: int, kills: int) -> None:
    attempts = endpoint.stats()["attempts_by_key"]
    more = sum(count - 2 for count in attempts.values())
    assert len(attempts) == expected
    assert min(attempts.values()) >= 2, "a rollout takes two requests"
    assert more <= 2 * kills * IN_PARALLEL, f"{more} requests for rollouts that were settled"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_drains_what_runs_and_the_rest_can_be_resumed(
    number: signal.Signals, endpoint: Endpoint, collector: MakeCollector
) -> None:
    endpoint.set_faults({"kind": "slow", "latency_s": 0.2})
    collecting = collector(32, f"+num_samples_in_parallel={IN_PARALLEL}")
    process = collecting.start()
    collecting.wait_for_rows(IN_PARALLEL)
    process.send_signal(number)
    assert process.wait(timeout=HANGS_AFTER_S) == 130, collecting.said()
    drained = check_output(collecting.output, 32)
    assert drained.scored >= 2 * IN_PARALLEL, "what ran was to end"
    assert drained.not_settled > 0
    if number == signal.SIGTERM:
        return  # the rest is the same
    before = endpoint.stats()["requests"]
    endpoint.set_faults()
    assert collecting.run() == 0, collecting.said()
    assert check_output(collecting.output, 32).scored == 32
    assert endpoint.stats()["requests"] - before == 2 * drained.not_settled


def test_what_never_ends_is_cut_off_after_one_signal_and_not_settled(
    endpoint: Endpoint, collector: MakeCollector
) -> None:
    endpoint.set_faults({"kind": "silent"})
    collecting = collector(4)
    process = collecting.start()
    _wait_for_requests(endpoint, 4)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=HANGS_AFTER_S) == 130, collecting.said()
    assert check_output(collecting.output, 4).not_settled == 4


def test_a_second_signal_stops_a_collection_before_it_has_drained(endpoint: Endpoint, collector: MakeCollector) -> None:
    endpoint.set_faults({"kind": "silent"})
    collecting = collector(4)
    process = collecting.start()
    _wait_for_requests(endpoint, 4)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: "again to stop now" in collecting.said(), HANGS_AFTER_S, "the first signal is heard")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=HANGS_AFTER_S) == 130, collecting.said()
    assert check_output(collecting.output, 4, finished=False).not_settled == 4
    # A collection that drained would have written its metrics at the end.
    assert not beside(collecting.output, "metrics.json").exists()


def _wait_for_requests(endpoint: Endpoint, count: int) -> None:
    wait_for(lambda: endpoint.stats()["in_flight"] >= count, HANGS_AFTER_S, f"{count} requests in flight")
