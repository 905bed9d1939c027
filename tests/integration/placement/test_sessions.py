"""Sessions: state over several calls, never mixed up, never opened by a call without one, cleaned up once."""

import asyncio
from typing import Any

import pytest

from nemo_gym.server_utils import SESSION_ID_HEADER, HttpResponse, ServerClient, failure_of, new_session_id
from tests.integration.placement.placement import Placement, call, note, results, row

pytestmark = pytest.mark.integration
VERIFY = {**row(), "response": {"id": "r", "created_at": 1, "model": "m", "output": []}}


class Caller:
    """An outside caller of the environment that passes the cookies of the last answer on, as the contract says."""

    def __init__(self, client: ServerClient) -> None:
        self._client = client
        self.cookies: dict[str, Any] = {}

    async def post(self, path: str, body: Any = None, **options: Any) -> HttpResponse:
        answer = await self._client.post("placed", path, json=body or {}, cookies=self.cookies, **options)
        self.cookies |= answer.cookies
        return answer


def kind(answer: HttpResponse) -> tuple[int, str]:
    return answer.status, failure_of(answer).failure.kind


async def test_state_lasts_over_the_tool_calls_of_a_rollout_and_is_cleaned_up_once(
    client: ServerClient, placement: Placement
) -> None:
    answer = await client.post("placed_agent", "/run", json=row(note("a"), note("b"), call("where"), note("c")))
    first, second, where, third = await results(answer)
    assert [first["notes"], second["notes"], third["notes"]] == [["a"], ["a", "b"], ["a", "b", "c"]]
    assert (await answer.json())["reward"] == 3.0
    assert [entry["notes"] for entry in placement.record("closed", where["session"])] == [["a", "b", "c"]]


async def test_two_hundred_rollouts_at_once_never_mix_their_sessions(client: ServerClient) -> None:
    async def rollout(number: int) -> None:
        answer = await client.post(
            "placed_agent", "/run", json=row(note(f"{number}a"), note(f"{number}b"), task=number)
        )
        verdict = await answer.json()
        assert (verdict["notes"], verdict["reward"], verdict["task"]) == ([f"{number}a", f"{number}b"], 2.0, number)

    async with asyncio.TaskGroup() as rollouts:
        for number in range(200):
            rollouts.create_task(rollout(number))


async def test_an_outside_caller_keeps_its_session_with_cookies_alone(client: ServerClient) -> None:
    one, other = Caller(client), Caller(client)
    for caller in (one, other):
        assert (await caller.post("/seed_session")).ok
    for text in ("a", "b"):
        await one.post("/note", {"entry": {"text": text}})
    await other.post("/note", {"entry": {"text": "x"}})
    assert (await (await one.post("/verify", VERIFY)).json())["notes"] == ["a", "b"]
    assert (await (await other.post("/verify", VERIFY)).json())["notes"] == ["x"]


async def test_a_session_that_the_agent_seeded_from_outside_is_found_by_its_responses_route(
    client: ServerClient,
) -> None:
    caller = Caller(client)
    await caller.post("/seed_session")
    params = row(note("from the agent"))["responses_create_params"]
    answer = await client.post("placed_agent", "/v1/responses", json=params, cookies=caller.cookies)
    assert answer.ok, await answer.text()
    verdict = await (await caller.post("/verify", VERIFY)).json()
    assert verdict["notes"] == ["from the agent"]


async def test_a_call_without_a_seeded_session_is_session_lost(client: ServerClient) -> None:
    assert kind(await Caller(client).post("/verify", VERIFY)) == (409, "session_lost")
    assert kind(await Caller(client).post("/note", {"entry": {"text": "x"}})) == (409, "session_lost")


async def test_a_closed_session_stays_closed(client: ServerClient) -> None:
    caller = Caller(client)
    await caller.post("/seed_session")
    assert await (await caller.post("/close_session")).json() == {"closed": True}
    for path in ("/seed_session", "/where", "/verify"):
        assert kind(await caller.post(path, VERIFY)) == (409, "session_lost")


async def test_a_forged_cookie_is_refused(client: ServerClient) -> None:
    caller = Caller(client)
    await caller.post("/seed_session")
    ((name, cookie),) = ((n, c) for n, c in caller.cookies.items() if "___" in n)
    value = cookie.value
    for forged in (value[:-4] + "AAAA", f"w1-{value}", value.partition(".")[0]):
        assert kind(await client.post("placed", "/where", json={}, cookies={name: forged})) == (409, "session_lost")


async def test_a_seed_that_is_sent_again_answers_as_the_first_time_and_another_payload_is_refused(
    client: ServerClient,
) -> None:
    headers = {SESSION_ID_HEADER: new_session_id()}
    answers = [await client.post("placed", "/seed_session", json={"n": n}, headers=headers) for n in (1, 1, 2)]
    assert [answer.status for answer in answers] == [200, 200, 409]
