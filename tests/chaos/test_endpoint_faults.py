"""Cases 4 and 5: the model endpoint is overloaded, silent, breaks off, or sends what isn't a response."""

from typing import Any

import pytest

from tests.chaos.conftest import MakeCollector
from tests.chaos.invariants import check_output
from tests.chaos.processes import Endpoint
from tests.chaos.sizes import SHORT_OR_SOAK

MODEL_ATTEMPTS = 10
ROLLOUT_ATTEMPTS = 3
OVERLOADED = (
    {"kind": "status", "status": 429, "headers": {"Retry-After": "0.1"}, "rate": 0.3},
    {"kind": "status", "status": 500, "rate": 0.1},
)
TIMEOUT_S = 3.0
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"kind": "silent"}, "agent_timeout"),
    ({"kind": "drop_after_headers"}, "transport_dropped"),
    ({"kind": "half_body"}, "transport_dropped"),
    ({"kind": "html"}, "model_bad_output"),
    ({"kind": "not_a_response"}, "model_bad_output"),
    ({"kind": "status", "status": 401}, "model_auth"),
    ({"kind": "status", "status": 429, "code": "insufficient_quota"}, "model_quota_exhausted"),
    ({"kind": "status", "status": 400}, "model_bad_request"),
]


@pytest.mark.parametrize("full", SHORT_OR_SOAK)
def test_an_overloaded_endpoint_costs_retries_and_no_rollout(
    full: bool, endpoint: Endpoint, collector: MakeCollector
) -> None:
    expected = 500 if full else 60
    endpoint.set_faults(*OVERLOADED)
    collecting = collector(expected, "+num_samples_in_parallel=50")
    assert collecting.run() == 0, collecting.said()
    assert check_output(collecting.output, expected).scored == expected
    stats = endpoint.stats()
    assert 2 * expected < stats["requests"] < 2 * 2 * expected
    assert max(stats["attempts_by_key"].values()) <= 2 * MODEL_ATTEMPTS * ROLLOUT_ATTEMPTS


def test_each_way_an_endpoint_breaks_is_a_failure_of_its_kind(endpoint: Endpoint, collector: MakeCollector) -> None:
    endpoint.set_faults(
        *({**fault, "when": {"last_user_matches": f"^Task {n}[.]"}} for n, (fault, _) in enumerate(BROKEN))
    )
    collecting = collector(len(BROKEN) + 1, "+max_attempts=1", f"+rollout_timeout_s={TIMEOUT_S}")
    assert collecting.run() == 1, collecting.said()  # ends, although one of its answers never comes
    tally = check_output(collecting.output, len(BROKEN) + 1)
    assert tally.scored == 1, "the task without a fault"
    kinds = {failure["_ng_task_index"]: failure["failure_kind"] for failure in tally.failures}
    assert kinds == {number: kind for number, (_, kind) in enumerate(BROKEN)}
    assert all(failure["failure_reason"] for failure in tally.failures)


@pytest.mark.parametrize("full", SHORT_OR_SOAK)
def test_a_huge_body_is_carried_whole(full: bool, endpoint: Endpoint, collector: MakeCollector) -> None:
    size_bytes = 50_000_000 if full else 10_000_000
    endpoint.set_faults({"kind": "huge_body", "size_bytes": size_bytes})
    collecting = collector(1, "+max_attempts=1", "+rollout_timeout_s=60")
    assert collecting.run() == 0, collecting.said()
    (row,) = check_output(collecting.output, 1).rows
    assert len(row["response"]["output"][-1]["content"][0]["text"]) == size_bytes
