"""Errors keep their identity over every hop, and deadlines name their setting."""

import asyncio

import pytest

from nemo_gym.server_utils import ServerClient, failure_of
from tests.integration.placement.placement import call, results, row

pytestmark = pytest.mark.integration


async def test_the_429_of_the_judge_is_what_the_caller_of_the_agent_reads(client: ServerClient) -> None:
    answer = await client.post("placed_agent", "/run", json=row(verdict="judge", ask="too often"))
    failure = failure_of(answer).failure
    assert (answer.status, failure.kind, failure.stage) == (429, "model_rate_limited", "verification")
    assert failure.origin is not None
    assert (failure.origin.server, failure.origin.status) == ("judge", 429)
    assert "the judge has had enough" in failure.reason


async def test_an_exception_two_hops_away_keeps_its_server_and_request_id(client: ServerClient) -> None:
    failure = failure_of(await client.post("placed_agent", "/run", json=row(verdict="judge", ask="break"))).failure
    assert failure.kind == "model_unavailable"
    assert failure.origin is not None
    assert failure.origin.server == "judge"
    assert failure.request_id
    assert failure.request_id in failure.reason


async def test_a_verifier_that_raises_is_a_500_with_the_verify_request(client: ServerClient) -> None:
    error = failure_of(await client.post("placed_agent", "/run", json=row(verdict="raise")))
    failure = error.failure
    assert (failure.status, failure.kind, failure.stage) == (500, "verifier_error", "verification")
    assert failure.request_id
    assert error.trajectory is not None
    assert error.trajectory["verdict"] == "raise"


async def test_a_tool_that_raises_tells_the_policy_no_secret_and_masks_the_rollout(client: ServerClient) -> None:
    answer = await client.post("placed_agent", "/run", json=row(call("blow_up")))
    (result,) = await results(answer)
    assert result["error"].startswith("the tool blow_up failed (reference ")
    assert "secret hint" not in await answer.text()
    assert (await answer.json())["failure_kind"] == "tool_error"


async def test_refusals_and_wrong_arguments_are_words_for_the_policy(client: ServerClient) -> None:
    steps = (call("refuse"), call("note"), call("no_such_tool"), call("verify"))
    refused, invalid, unknown, reserved = await results(await client.post("placed_agent", "/run", json=row(*steps)))
    assert refused == {"error": "not on a Sunday"}
    assert invalid == {"error": "invalid arguments: entry: Field required"}
    assert "there is no tool named 'no_such_tool'" in unknown["error"]
    assert "there is no tool named 'verify'" in reserved["error"]


async def test_a_body_that_does_not_validate_is_422_and_an_unknown_route_404(client: ServerClient) -> None:
    invalid = await client.post("placed_agent", "/run", json={"responses_create_params": {"input": 7}})
    assert (invalid.status, failure_of(invalid).failure.kind) == (422, "input_invalid")
    assert (await client.post("placed", "/no_such_route", json={})).status == 404


async def test_the_deadlines_of_tool_and_verifier_name_their_setting(client: ServerClient) -> None:
    hanging_tool = client.post("placed_agent", "/run", json=row(call("hang")))
    hanging_verifier = client.post("placed_agent", "/run", json=row(verdict="hang"))
    rollout, failed = await asyncio.gather(hanging_tool, hanging_verifier)
    masked, failure = await rollout.json(), failure_of(failed).failure
    assert (masked["mask_sample"], masked["failure_kind"]) == (True, "tool_timeout")
    assert "setting placed.tool_timeout_s" in masked["failure_reason"]
    assert (failed.status, failure.kind) == (504, "verifier_timeout")
    assert "setting placed.verify_timeout_s" in failure.reason


async def test_the_timeout_of_the_caller_is_a_transport_timeout(client: ServerClient) -> None:
    ways = ("timeout_object", "timeout_number", "timeout_of_reading")
    for answer in await asyncio.gather(*(client.post("judge", f"/calls/{way}") for way in ways)):
        failure = (await answer.json())["failure"]
        assert (failure["kind"], failure["origin"]["server"]) == ("transport_timeout", "placed")
        assert "the caller's `timeout`" in failure["reason"]


async def test_the_deadline_of_the_caller_names_its_setting_and_kind(client: ServerClient) -> None:
    failure = (await (await client.post("judge", "/calls/deadline")).json())["failure"]
    assert failure["kind"] == "judge_failed"
    assert "within 0.1 s (setting judge.patience_s)" in failure["reason"]


async def test_an_answer_longer_than_the_limit_is_dropped(client: ServerClient) -> None:
    failure = (await (await client.post("judge", "/calls/too_long")).json())["failure"]
    assert failure["kind"] == "transport_dropped"
    assert "longer than 10 bytes" in failure["reason"]
