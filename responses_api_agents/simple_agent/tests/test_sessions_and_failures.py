"""What an agent does about verifications that fail, about cancellation, and about a caller's own session."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nemo_gym.base_responses_api_agent import RawRunRequest
from nemo_gym.server_utils import Deadline, EnvironmentClient, RolloutError

StartRun = Callable[..., Any]
VISIT = {"call": {"name": "visit", "arguments": {}}}
TOOLS = [{"type": "function", "name": "visit", "parameters": None, "strict": False}]


def row(*script: dict[str, Any], **more: Any) -> dict[str, Any]:
    params = {"input": "go", "tools": TOOLS, "script": [*script, {"message": "done"}]}
    return {"responses_create_params": params, **more}


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_session_is_closed_after_success(start_run: StartRun) -> None:
    run = start_run()
    await run.rollout(row(VISIT))
    assert run.paths == ["/seed_session", "/visit", "/verify", "/close_session"]
    assert run.environment._cleaned == [["nowhere"]]


async def test_a_server_that_keeps_no_sessions_is_not_asked_to_close_one(start_run: StartRun) -> None:
    run = start_run("weather")
    await run.rollout(row())
    assert run.paths == ["/seed_session", "/verify"]


async def test_a_verification_that_fails_keeps_the_trajectory(start_run: StartRun) -> None:
    run = start_run()
    sent = row(VISIT, verify="crash")
    body = await (await run.post(sent)).json()
    assert (body["error"]["kind"], body["error"]["stage"]) == ("verifier_error", "verification")
    assert body["error"]["origin"] == {"server": "env", "status": 500}
    assert "reward" not in body
    trajectory = body["trajectory"]
    assert {key: trajectory[key] for key in sent} == sent
    assert [item["type"] for item in trajectory["response"]["output"]][-1] == "message"
    assert run.environment._cleaned == [["nowhere"]]


async def test_a_row_the_verifier_refuses_is_not_kept_for_another_verification(start_run: StartRun) -> None:
    body = await (await start_run().post(row(verify="refuse"))).json()
    assert body["error"]["kind"] == "input_invalid"
    assert "trajectory" not in body


@pytest.mark.parametrize("script", [[], [{"message": "late", "latency_s": 1}]], ids=["while-verifying", "while-asking"])
async def test_the_session_is_closed_when_the_rollouts_caller_leaves(
    start_run: StartRun, script: list[dict[str, Any]]
) -> None:
    run = start_run()
    rollout = asyncio.create_task(run.post(row(*script, verify="hang")))
    await until(lambda: "/seed_session" in run.paths)
    await asyncio.sleep(0.2)
    rollout.cancel()
    await until(lambda: run.environment._cleaned)
    assert run.environment._cleaned == [[]]
    assert len(run.environment._sessions) == 0


async def test_the_session_is_closed_when_the_deadline_of_the_run_ends_it(start_run: StartRun) -> None:
    run = start_run(run_timeout_s=0.3)
    answer = await run.post(row(verify="hang"))
    assert (await answer.json())["error"]["kind"] == "agent_timeout"
    assert run.environment._cleaned == [[]]


async def test_a_seed_that_was_cut_off_is_closed_too(start_run: StartRun) -> None:
    run = start_run()
    session = EnvironmentClient(run.client, "env").session()
    with pytest.raises(RolloutError):
        await session.seed(RawRunRequest.json_of(row()), Deadline(0.0, "the test"))
    await session.close()
    assert run.paths[-1] == "/close_session"
    assert len(run.environment._sessions) == 0


async def test_a_caller_may_seed_and_verify_around_the_agents_responses(start_run: StartRun) -> None:
    run = start_run()
    sent = row(VISIT)
    seeded = await run.client.post("env", "/seed_session", json=sent)
    asked = sent["responses_create_params"]
    answered = await run.client.post("agent", "/v1/responses", json=asked, cookies=seeded.cookies)
    body = sent | {"response": await answered.json()}
    # Whoever calls passes the cookies of the last answer on: the agent's answer brings the environment's back.
    verdict = await run.client.post("env", "/verify", json=body, cookies=answered.cookies)
    assert (await verdict.json())["reward"] == 1.0


async def test_two_runs_with_the_same_cookies_have_sessions_of_their_own(start_run: StartRun) -> None:
    run = start_run()
    seeded = await run.client.post("env", "/seed_session", json=row())
    for _ in range(2):
        answer = await run.client.post("agent", "/run", json=row(VISIT), cookies=seeded.cookies)
        assert (await answer.json())["reward"] == 1.0


async def test_many_rollouts_at_once_do_not_mix_their_sessions(start_run: StartRun) -> None:
    run = start_run()
    rollouts = await asyncio.gather(*(run.rollout(row(*[VISIT] * (number % 4))) for number in range(40)))
    assert [rollout["reward"] for rollout in rollouts] == [float(number % 4) for number in range(40)]
    assert len(run.environment._cleaned) == 40


@pytest.mark.parametrize(
    ("status", "kind"),
    [("failed", "model_unavailable"), ("cancelled", "model_unavailable"), ("queued", "model_unavailable")],
)
async def test_a_response_that_is_not_an_answer_is_a_failure_and_never_a_reward(
    start_run: StartRun, status: str, kind: str
) -> None:
    answer = await start_run().post(row({"status": status}))
    body = await answer.json()
    assert (body["error"]["kind"], body["error"]["origin"]["server"]) == (kind, "model")
    assert status in body["error"]["reason"]
    assert "reward" not in body


FILTERED = {"message": "I ca", "incomplete": "content_filter"}


async def test_an_answer_that_the_content_filter_cut_off_masks_the_rollout(start_run: StartRun) -> None:
    rollout = await start_run().rollout(row(VISIT, FILTERED))
    assert (rollout["mask_sample"], rollout["failure_kind"]) == (True, "model_content_filter")
    assert rollout["reward"] == 1.0


@pytest.mark.parametrize(("setting", "masked"), [("score", False), ("fail", None)])
async def test_the_setting_decides_about_filtered_answers(
    start_run: StartRun, setting: str, masked: bool | None
) -> None:
    run = start_run(on_content_filter=setting)
    answer = await (await run.post(row(FILTERED))).json()
    if masked is None:
        assert answer["error"]["kind"] == "model_content_filter"
    else:
        assert "mask_sample" not in answer


async def test_a_connection_that_is_lost_in_the_middle_of_a_rollout_costs_one_more_call(start_run: StartRun) -> None:
    run = start_run(dropped_model_call=2)
    assert (await run.rollout(row(VISIT, VISIT)))["reward"] == 2.0


async def test_counts_of_tokens_beyond_64_bits_do_not_cost_the_rollout(start_run: StartRun) -> None:
    usage = {"input_tokens": 2**60, "output_tokens": 2**60}
    steps = [{**VISIT, "usage": usage} for _ in range(10)]
    rollout = await start_run().rollout(row(*steps))
    assert rollout["response"]["usage"]["input_tokens"] >= 2**53


async def test_first_rollouts_together_ask_for_the_tools_once(start_run: StartRun) -> None:
    run = start_run()
    await asyncio.gather(*(run.rollout(row(VISIT)) for _ in range(8)))
    assert run.times_asked_for_tools == 1
