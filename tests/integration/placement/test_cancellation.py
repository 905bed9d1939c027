"""A caller that leaves ends what was done for it; a handler that blocks keeps nobody else waiting."""

import asyncio
import uuid

import pytest

from nemo_gym.server_utils import ServerClient
from tests.integration.placement.placement import Placement, call, note, row

pytestmark = pytest.mark.integration


async def test_closing_the_connection_of_a_rollout_cancels_its_tool_and_closes_its_session(
    client: ServerClient, placement: Placement
) -> None:
    steps = (note("unfinished"), call("wait", label=(label := uuid.uuid4().hex)))
    rollout = asyncio.create_task(client.post("placed_agent", "/run", json=row(*steps)))
    await asyncio.to_thread(placement.wait_for_record, "waiting", label)
    before = len(placement.record("closed"))
    rollout.cancel()
    await asyncio.to_thread(placement.wait_for_record, "cancelled", label)
    while len(placement.record("closed")) == before:
        await asyncio.sleep(0.02)
    assert ["unfinished"] in [entry["notes"] for entry in placement.record("closed")[before:]]


async def test_a_server_that_cancels_its_call_of_another_is_noticed_there(
    client: ServerClient, placement: Placement
) -> None:
    said = await (await client.post("judge", "/calls/cancelled")).json()
    assert said["cancelled"]
    await asyncio.to_thread(placement.wait_for_record, "cancelled", said["label"])


async def test_a_plain_function_that_blocks_stalls_no_other_server(client: ServerClient, placement: Placement) -> None:
    label = uuid.uuid4().hex
    blocked = asyncio.create_task(client.post("placed_agent", "/run", json=row(call("block", label=label))))
    await asyncio.to_thread(placement.wait_for_record, "blocking", label)
    for name in ("placed", "judge", "policy_model", "placed_agent"):
        assert (await client.get(name, "/health")).ok
    assert (await (await client.post("placed_agent", "/run", json=row(note("meanwhile")))).json())["reward"] == 1.0
    assert not blocked.done()
    (placement.folder / label).touch()
    assert (await blocked).ok


async def test_work_after_the_answer_does_not_delay_the_caller_and_shares_no_context(
    client: ServerClient,
) -> None:
    said = await (await client.post("judge", "/calls/background")).json()
    assert said["answers"] == [{"mark": "unset"}, {"mark": "unset"}]
