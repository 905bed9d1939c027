"""Several processes share an instance: a session stays with its worker, and a dead worker costs only its own."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from typing import Any

import httpx
import pytest

from nemo_gym.server_utils import RolloutError, ServerClient, failure_of, request
from tests.bounds import HANGS_AFTER_S
from tests.chaos.processes import wait_for
from tests.integration.placement.placement import WITH_WORKERS, Placement, call, note, results, row

pytestmark = pytest.mark.integration
LOST_WITH_ITS_WORKER = ("session_lost", "server_died", "transport_dropped")


@pytest.fixture(autouse=True)
def _only_where_there_are_workers(placement: Placement) -> None:
    if placement.name not in WITH_WORKERS:
        pytest.skip("one process for each instance")


def own_urls(client: ServerClient, instance: str, kind: str, implementation: str) -> list[str]:
    return list(client.global_config_dict[instance][kind][implementation]["worker_urls"])


async def session_on_each_worker(client: ServerClient, placement: Placement) -> dict[int, dict[str, Any]]:
    """Return the cookies of one session at every worker, by pid; each was opened there."""
    found: dict[int, dict[str, Any]] = {}
    for url in own_urls(client, "placed", "resources_servers", "placed"):
        seeded = await request("POST", f"{url}/seed_session", json={}, headers=placement.headers)
        where = await client.post("placed", "/where", json={}, cookies=seeded.cookies)
        found[(await where.json())["pid"]] = dict(seeded.cookies)
    assert list(found) == placement.pids()
    return found


async def test_the_head_shows_each_worker(placement: Placement) -> None:
    states = [state for state in placement.instances() if state["name"] == "placed"]
    assert [state["worker"] for state in states] == list(range(len(states)))
    assert len({state["pid"] for state in states}) == len(states) > 1
    assert {state["state"] for state in states} == {"ready"}
    assert len({state["url"] for state in states}) == 1


async def test_a_rollout_stays_with_one_worker_and_rollouts_are_spread(
    client: ServerClient, placement: Placement
) -> None:
    async def rollout() -> int:
        answer = await client.post("placed_agent", "/run", json=row(call("where"), call("where"), call("where")))
        used = {result["pid"] for result in await results(answer)} | {(await answer.json())["pid"]}
        assert len(used) == 1
        return int(used.pop())

    used = Counter([*await asyncio.gather(*(rollout() for _ in range(60))), *[await rollout() for _ in range(10)]])
    assert set(used) == set(placement.pids())
    assert min(used.values()) >= 10


async def test_an_outside_caller_with_only_the_cookie_reaches_its_worker_whichever_accepts_it(
    placement: Placement,
) -> None:
    url = next(state["url"] for state in placement.instances() if state["name"] == "placed")
    pids = set()
    cookies: dict[str, str] = {}
    for path in ("/seed_session", *["/where"] * 12):
        async with httpx.AsyncClient(
            base_url=url, headers=placement.headers, cookies=cookies, verify=False
        ) as caller:  # a new connection: any may accept it
            answer = await caller.post(path, json={})
            cookies |= dict(answer.cookies)
        pids.add(answer.json().get("pid"))
    assert len(pids - {None}) == 1


async def test_any_worker_passes_a_call_on_whole(client: ServerClient, placement: Placement) -> None:
    sessions = await session_on_each_worker(client, placement)
    (pid, cookies), *_ = sessions.items()
    for url in own_urls(client, "placed", "resources_servers", "placed"):
        values = {name: morsel.value for name, morsel in cookies.items()}
        async with httpx.AsyncClient(base_url=url, headers=placement.headers, cookies=values) as caller:
            # httpx asks for a compressed answer, which only what is passed on as it is could be.
            where = await caller.post("/where", json={})
            echo = await caller.get("/echo/a%2Fb", params={"q": "ü"}, headers={"x-asked": "1"})
            moved = await caller.get("/moved")
        assert (where.json()["pid"], where.headers["x-stamp"]) == (pid, "/where")
        assert (echo.json()["raw_path"], echo.json()["query"]) == ("/echo/a%2Fb", [["q", "ü"]])
        assert moved.status_code == 307


async def test_a_caller_that_leaves_is_noticed_at_the_worker_that_its_call_was_passed_on_to(
    client: ServerClient, placement: Placement
) -> None:
    sessions = await session_on_each_worker(client, placement)
    *_, cookies = sessions.values()
    label = uuid.uuid4().hex
    first_url = own_urls(client, "placed", "resources_servers", "placed")[0]
    body = {"label": label}
    waiting = asyncio.create_task(
        request("POST", f"{first_url}/wait", json=body, cookies=cookies, headers=placement.headers)
    )
    await asyncio.to_thread(placement.wait_for_record, "waiting", label)
    waiting.cancel()
    await asyncio.to_thread(placement.wait_for_record, "cancelled", label)


async def test_a_colocated_rollout_never_leaves_its_worker(client: ServerClient, placement: Placement) -> None:
    if placement.name != "colocated_workers":
        pytest.skip("the environment has workers of its own")
    urls = own_urls(client, "placed_agent", "responses_api_agents", "simple_agent")
    for url, pid in zip(urls, placement.pids("placed_agent"), strict=True):
        for _ in range(5):
            answer = await request("POST", f"{url}/run", json=row(call("where")), headers=placement.headers)
            (where,) = await results(answer)
            assert where["pid"] == pid


async def test_a_killed_worker_costs_only_its_own_sessions_and_comes_back(
    client: ServerClient, placement: Placement
) -> None:
    sessions = await session_on_each_worker(client, placement)
    before = placement.pids()
    victim, *others = before
    label = uuid.uuid4().hex
    cookies = sessions[victim]
    inside = asyncio.create_task(client.post("placed", "/wait", json={"label": label}, cookies=cookies))
    await asyncio.to_thread(placement.wait_for_record, "waiting", label)
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(RolloutError) as lost:
        await inside
    assert lost.value.failure.kind in LOST_WITH_ITS_WORKER
    wait_for(lambda: victim not in placement.pids(), HANGS_AFTER_S, "noticed")
    for pid in others:
        where = await client.post("placed", "/where", json={}, cookies=sessions[pid])
        assert (await where.json())["pid"] == pid
    assert (await client.post("placed", "/seed_session", json={})).ok  # by those that are left
    await asyncio.to_thread(placement.wait_until_ready)
    after = placement.pids()
    assert after[0] != victim
    assert after[1:] == others
    gone = await client.post("placed", "/where", json={}, cookies=cookies)
    assert (gone.status, failure_of(gone).failure.kind) == (409, "session_lost")
    assert (await (await client.post("placed_agent", "/run", json=row(note("again")))).json())["reward"] == 1.0
