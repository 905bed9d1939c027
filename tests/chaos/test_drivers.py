"""A collection with several drivers: it is killed, one of them is, it is interrupted; each time it is resumed."""

import os
import signal

import psutil

from tests.bounds import HANGS_AFTER_S
from tests.chaos.conftest import MakeCollector
from tests.chaos.invariants import beside, check_output, read_whole_lines
from tests.chaos.processes import Endpoint, wait_for

EXPECTED, IN_PARALLEL = 48, 8


def test_drivers_and_their_collector_are_killed_and_interrupted_and_every_rollout_is_settled_once(
    endpoint: Endpoint, collector: MakeCollector
) -> None:
    endpoint.set_faults({"kind": "slow", "latency_s": 0.1})
    collecting = collector(EXPECTED, f"+num_samples_in_parallel={IN_PARALLEL}", "+num_drivers=2")
    process = collecting.start()
    collecting.wait_for_rows(8)
    drivers = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(drivers, timeout=HANGS_AFTER_S)
    assert len(drivers) == 2
    assert not alive, "drivers end with their collector, however it died"

    process = collecting.start()
    collecting.wait_for_rows(16)
    os.kill(psutil.Process(process.pid).children()[0].pid, signal.SIGKILL)
    wait_for(lambda: "was killed by SIGKILL while it ran" in collecting.said(), HANGS_AFTER_S, "the loss is said")
    collecting.wait_for_rows(24)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
    assert process.wait(timeout=HANGS_AFTER_S) == 130, collecting.said()
    drained = check_output(collecting.output, EXPECTED)
    assert drained.not_settled > 0
    assert drained.scored >= 24 + IN_PARALLEL - 1, "what ran was to end"

    assert collecting.run() == 0, collecting.said()
    assert check_output(collecting.output, EXPECTED).scored == EXPECTED
    sent = [row["_ng_task_index"] for row in read_whole_lines(beside(collecting.output, "materialized_inputs.jsonl"))]
    assert sorted(sent) == list(range(EXPECTED)), "each row that was sent is kept once"
    more = endpoint.stats()["requests"] - 2 * EXPECTED
    assert more <= 2 * 3 * IN_PARALLEL, f"{more} requests for rollouts that were settled"
