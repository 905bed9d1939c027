"""Cases 2 and 3: the collector is killed, interrupted, terminated; each time it is resumed."""

import random
import signal
import time

import pytest

from tests.chaos.conftest import MakeCollector
from tests.chaos.invariants import check_output
from tests.chaos.processes import Endpoint
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
    _assert_only_what_was_cut_off_was_asked_again(endpoint, expected, kills)


def _assert_only_what_was_cut_off_was_asked_again(endpoint: Endpoint, expected: int, kills: int) -> None:
    attempts = endpoint.stats()["attempts_by_key"]
    more = sum(count - 2 for count in attempts.values())
    assert len(attempts) == expected
    assert min(attempts.values()) >= 2, "a rollout takes two requests"
    assert more <= 2 * kills * IN_PARALLEL, f"{more} requests for rollouts that were settled"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_drains_what_runs_within_five_seconds_and_is_resumable(
    number: signal.Signals, endpoint: Endpoint, collector: MakeCollector
) -> None:
    endpoint.set_faults({"kind": "slow", "latency_s": 0.2})
    collecting = collector(32, f"+num_samples_in_parallel={IN_PARALLEL}")
    process = collecting.start()
    collecting.wait_for_rows(IN_PARALLEL)
    process.send_signal(number)
    assert process.wait(timeout=6.5) == 130, collecting.said()
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


def test_what_does_not_drain_is_cut_off_and_not_settled(endpoint: Endpoint, collector: MakeCollector) -> None:
    endpoint.set_faults({"kind": "silent"})
    collecting = collector(4)
    process = collecting.start()
    _wait_for_requests(endpoint, 4)
    began_at = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=8) == 130, collecting.said()
    assert time.monotonic() - began_at < 6.5
    assert check_output(collecting.output, 4).not_settled == 4


def test_a_second_signal_stops_now(endpoint: Endpoint, collector: MakeCollector) -> None:
    endpoint.set_faults({"kind": "silent"})
    collecting = collector(4)
    process = collecting.start()
    _wait_for_requests(endpoint, 4)
    began_at = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5) == 130, collecting.said()
    assert time.monotonic() - began_at < 2.0
    assert check_output(collecting.output, 4, finished=False).not_settled == 4


def _wait_for_requests(endpoint: Endpoint, count: int) -> None:
    end = time.monotonic() + 20
    while endpoint.stats()["in_flight"] < count:
        assert time.monotonic() < end
        time.sleep(0.05)
