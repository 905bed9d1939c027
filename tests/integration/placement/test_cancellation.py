"""A caller that leaves ends what was done for it; a handler that blocks keeps nobody else waiting."""

import asyncio
import time

import pytest

from nemo_gym.server_utils import ServerClient
from tests.integration.placement.placement import Placement, call, note, row

pytestmark = pytest.mark.integration


async def test_closing_the_connection_of_a_rollout_cancels_its_tool_and_closes_its_session(
    client: ServerClient, placement: Placement
) -> None:
    steps = (note("unfinished"), call("hang", label=(label := f"rollout {time.monotonic()}")))
    rollout = asyncio.create_task(client.post("placed_agent", "/run", json=row(*steps)))
    await asyncio.to_thread(placement.wait_for_record, "hanging", label)
    before = len(placement.record("closed"))
    rollout.cancel()
    cancelled = await asyncio.to_thread(placement.wait_for_record, "cancelled", label)
    assert cancelled["after_s"] < 0.85  # the tool's own deadline is 0.9 s
    while len(placement.record("closed")) == before:
        await asyncio.sleep(0.02)
    assert ["unfinished"] in [entry["notes"] for entry in placement.record("closed")[before:]]


async def test_a_server_that_cancels_its_call_of_another_is_noticed_there(
    client: ServerClient, placement: Placement
) -> None:
    said = await (await client.post("judge", "/calls/cancelled")).json()
    assert said["cancelled"]
    cancelled = await asyncio.to_thread(placement.wait_for_record, "cancelled", said["label"])
    assert cancelled["after_s"] < 0.85


async def test_a_plain_function_that_blocks_stalls_no_other_server(client: ServerClient) -> None:
    blocked = asyncio.create_task(client.post("placed_agent", "/run", json=row(call("block", seconds=0.6))))
    await asyncio.sleep(0.1)
    began_at = time.monotonic()
    for name in ("placed", "judge", "policy_model", "placed_agent"):
        assert (await client.get(name, "/health")).ok
    assert (await (await client.post("placed_agent", "/run", json=row(note("meanwhile")))).json())["reward"] == 1.0
    assert time.monotonic() - began_at < 0.45
    assert not blocked.done()
    assert (await blocked).ok


async def test_work_after_the_answer_keeps_the_caller_from_nothing_and_keeps_its_context_to_itself(
    client: ServerClient,
) -> None:
    said = await (await client.post("judge", "/calls/background")).json()
    assert said["took_s"] < 0.25  # the work takes 0.3 s
    assert [said["first"]["mark"], said["second"]["mark"]] == ["unset", "unset"]
