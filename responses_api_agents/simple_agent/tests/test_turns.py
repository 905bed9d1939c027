"""Rollouts of several turns over real sockets: the environment answers the policy with the user's next message."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from nemo_gym.collections.token_data.check import find_violation
from nemo_gym.environments import Environment, Rollout, UserReply, Verdict, tool
from nemo_gym.wire.environment import ModelUsage

StartRun = Callable[..., Any]
POLICY = {"rules": [{"when": {"last_user_matches": r"What is (?P<what>\w+)"}, "answer": {"message": "It is $what."}}]}
COUNTING = {"rules": [{"when": {"has_tool_result": False}, "answer": {"call": {"name": "count"}}}]}


@dataclass
class Asked:
    calls: int = 0
    turns: int = 0


class Interview(Environment):
    """The user asks the questions of the task, one after the other."""

    @tool
    async def count(self, state: Asked) -> str:
        """Count."""
        state.calls += 1
        return str(state.calls)

    async def next_turn(self, rollout: Rollout, state: Asked, questions: list[Any], breaks: str = "") -> Any:
        if breaks == "raise":
            raise RuntimeError("the secret is canary")
        if breaks == "hang":
            await asyncio.sleep(60)
        state.turns += 1
        said = rollout.turns - 1
        if said == len(questions):
            return None
        if questions[said] == "paid":
            return UserReply("What is paid?", ModelUsage(calls=1, input_tokens=10, output_tokens=2, total_tokens=12))
        return questions[said]

    async def reward(self, rollout: Rollout, state: Asked, stopped_by: str | None = None) -> Verdict:
        heard = [f"{one.role}: {one.text}" for one in rollout.dialogue]
        return Verdict(float(state.turns), fields={"calls": state.calls, "heard": heard, "stop": stopped_by})


def row(*questions: Any, **more: Any) -> dict[str, Any]:
    return {"responses_create_params": {"input": "What is one?"}, "questions": list(questions), **more}


def messages(rollout: dict[str, Any]) -> list[str]:
    return [f"{item['role']}: {item['content']}" for item in rollout["response"]["output"] if item["role"] == "user"]


async def test_the_user_speaks_until_the_episode_is_over_and_the_verdict_sees_all_of_it(start_run: StartRun) -> None:
    run = start_run(Interview, model=POLICY)
    rollout = await run.rollout(row("What is two?", "What is three?"))
    assert [item["role"] for item in rollout["response"]["output"]] == ["assistant", "user"] * 2 + ["assistant"]
    assert messages(rollout) == ["user: What is two?", "user: What is three?"]
    assert rollout["heard"] == [
        "user: What is one?",
        "assistant: It is one.",
        "user: What is two?",
        "assistant: It is two.",
        "user: What is three?",
        "assistant: It is three.",
    ]
    assert run.paths == ["/seed_session", *["/next_turn"] * 3, "/verify", "/close_session"]
    assert (rollout["reward"], rollout["stopped_by"], "mask_sample" in rollout) == (3.0, None, False)


async def test_tools_and_turns_share_a_session(start_run: StartRun) -> None:
    rollout = await start_run(Interview, model=COUNTING, tools_from_resources_server=True).rollout(row("Again?"))
    turn = ["function_call", "function_call_output", "message"]
    assert [item["type"] for item in rollout["response"]["output"]] == [*turn, "message", *turn]
    assert (rollout["calls"], rollout["reward"]) == (2, 2.0)


async def test_a_user_may_send_content_parts(start_run: StartRun) -> None:
    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": "data:,x"}]
    rollout = await start_run(Interview, model=POLICY).rollout(row(parts))
    assert rollout["response"]["output"][1] == {"type": "message", "role": "user", "content": parts}
    assert rollout["heard"][-2:] == ["user: What is this?", "assistant: It is this."]


async def test_an_environment_without_turns_is_never_asked_for_one(start_run: StartRun) -> None:
    run = start_run("weather")
    await run.rollout(row())
    await run.rollout(row())
    assert run.paths == ["/seed_session", "/verify", "/verify"]


class Stateless(Environment):
    def next_turn(self, rollout: Rollout) -> str | None:
        return "What is two?" if rollout.turns == 1 else None

    def reward(self, rollout: Rollout) -> float:
        return float(rollout.turns)


async def test_an_environment_without_state_takes_turns_in_every_rollout_after_one_seed(start_run: StartRun) -> None:
    run = start_run(Stateless, model=POLICY)
    assert [(await run.rollout(row()))["reward"] for _ in range(2)] == [2.0, 2.0]
    assert run.paths == ["/seed_session", *["/next_turn", "/next_turn", "/verify"] * 2]


@pytest.mark.parametrize(
    ("settings", "stopped_by", "turns", "steps"),
    [
        pytest.param({"max_turns": 2}, "max_turns", 2, 2, id="turns"),
        pytest.param({"max_turns": 1}, "max_turns", 1, 1, id="one-turn"),
        pytest.param({"max_steps": 3}, "max_steps", 3, 3, id="steps"),
        pytest.param({"max_total_tokens": 1}, "max_total_tokens", 1, 1, id="tokens"),
        pytest.param({"max_turns": 4}, "max_turns", 4, 4, id="the-last-turn"),
        pytest.param({"max_turns": None, "max_total_tokens": 10**6}, None, 4, 4, id="no-limit"),
    ],
)
async def test_a_limit_ends_the_rollout_by_name_and_it_is_scored(
    start_run: StartRun, settings: dict[str, Any], stopped_by: str | None, turns: int, steps: int
) -> None:
    rollout = await start_run(Interview, model=POLICY, **settings).rollout(row(*["What is it?"] * 3))
    assert rollout.get("stopped_by") == rollout["stop"] == stopped_by
    roles = [item["role"] for item in rollout["response"]["output"]]
    assert (1 + roles.count("user"), roles.count("assistant"), roles[-1]) == (turns, steps, "assistant")
    assert "mask_sample" not in rollout


async def test_a_full_context_in_a_later_turn_ends_the_rollout_with_what_there_is(start_run: StartRun) -> None:
    full = {"kind": "status", "status": 400, "code": "context_length_exceeded", "on_requests": [2]}
    rollout = await start_run(Interview, model=POLICY, faults=[full]).rollout(row("What is two?"))
    assert (rollout["stopped_by"], rollout["heard"][-1]) == ("context_length", "user: What is two?")


async def test_a_message_that_is_cut_off_gets_no_reply(start_run: StartRun) -> None:
    model = {"default_answer": {"message": "I was", "incomplete": "max_output_tokens"}}
    rollout = await start_run(Interview, model=model).rollout(row("What is two?"))
    assert rollout["heard"] == ["user: What is one?", "assistant: I was"]


@pytest.mark.parametrize(
    ("sent", "kind", "says"),
    [
        pytest.param(row(breaks="raise"), "turn_error", "", id="raises"),
        pytest.param(row(breaks="hang"), "turn_timeout", "setting env.turn_timeout_s", id="hangs"),
        pytest.param(row(""), "turn_error", "", id="empty"),
        pytest.param(row(7), "turn_error", "", id="a-number"),
    ],
)
async def test_an_environment_that_breaks_instead_of_speaking_fails_the_rollout(
    start_run: StartRun, sent: dict[str, Any], kind: str, says: str
) -> None:
    run = start_run(Interview, model=POLICY)
    answer = await run.post(sent)
    failure = (await answer.json())["error"]
    assert (failure["kind"], failure["stage"], failure["terminal"]) == (kind, "agent", False)
    assert says in failure["reason"]
    assert "canary" not in (await answer.text())
    assert run.paths[-1] == "/close_session"


async def test_what_models_cost_that_play_the_user_is_added_up_in_the_rollout(start_run: StartRun) -> None:
    rollout = await start_run(Interview, model=POLICY).rollout(row("paid", "What is free?", "paid"))
    assert rollout["user_usage"] == {"calls": 2, "input_tokens": 20, "output_tokens": 4, "total_tokens": 24}


async def test_every_model_call_of_every_turn_goes_on_from_the_tokens_before_it(start_run: StartRun) -> None:
    model = {**COUNTING, "return_token_id_information": True}
    run = start_run(Interview, model=model, tools_from_resources_server=True)
    rollout = await run.rollout(row("Again?", "And again?"))
    carriers = [item for item in rollout["response"]["output"] if "prompt_token_ids" in item]
    assert [item["type"] for item in carriers] == ["function_call", "message"] * 3
    assert find_violation(orjson.dumps(rollout), required=True) is None


async def test_history_that_is_tokenised_anew_is_found_in_a_later_turn(start_run: StartRun) -> None:
    faults = [{"kind": "token_data", "problem": "retokenized", "on_requests": [3]}]
    run = start_run(Interview, model={**POLICY, "return_token_id_information": True}, faults=faults)
    violation = find_violation(orjson.dumps(await run.rollout(row("What is two?", "What is three?"))), required=True)
    assert violation is not None
    assert "call 3" in violation.reason


async def test_the_loop_alone_is_one_turn_because_its_caller_has_the_task(start_run: StartRun) -> None:
    run = start_run(Interview, model=POLICY)
    await run.client.post("env", "/seed_session", json=row("What is two?"))
    answer = await run.client.post("agent", "/v1/responses", json={"input": "What is one?"})
    assert [item["role"] for item in (await answer.json())["output"]] == ["assistant"]
