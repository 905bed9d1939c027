"""The test kit: Responses from plain words, an environment in process, whole rollouts."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel

from nemo_gym.base_resources_server import BaseVerifyRequest, BaseVerifyResponse, SimpleResourcesServer
from nemo_gym.environments import BaseResourcesServerConfig, Environment, Rollout, ToolError, tool
from nemo_gym.judge import Judge, JudgeConfig
from nemo_gym.server_utils import RolloutError
from nemo_gym.testing import (
    InProcess,
    PolicyStep,
    assistant,
    call,
    environment,
    reasoning,
    response,
    task,
    tool_result,
    user,
)

pytest_plugins = "nemo_gym.testing.fixtures"
closed: list[list[str]] = []


@dataclass
class Basket:
    fruits: list[str] = field(default_factory=list)


class ShopConfig(BaseResourcesServerConfig):
    most: int = 2


class Shop(Environment):
    config: ShopConfig

    @tool
    async def add(self, state: Basket, fruit: str) -> str:
        """Add a fruit."""
        if len(state.fruits) >= self.config.most:
            raise ToolError("the basket is full")
        state.fruits.append(fruit)
        return ", ".join(state.fruits)

    @tool
    def crash(self) -> str:
        raise ValueError("on purpose")

    def reward(self, rollout: Rollout, state: Basket, wanted: list[str]) -> float:
        return float(state.fruits == wanted) - 0.5 * (rollout.text == "")

    def close_state(self, state: Basket) -> None:
        closed.append(state.fruits)


class Echo(BaseModel):
    text: str


class OldStyle(SimpleResourcesServer):
    """A server in the class style."""

    session_state = list

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/note")(self.note)
        return app

    async def note(self, request: Request, body: Echo) -> Echo:
        self.state(request).append(body.text)
        return body

    async def verify(self, request: Request, body: BaseVerifyRequest) -> BaseVerifyResponse:
        return BaseVerifyResponse(**body.model_dump(), reward=float(len(self.state(request))))


def test_a_response_is_made_from_plain_words_and_its_results_belong_to_its_calls() -> None:
    made = response(
        reasoning("hm"), call("f", a=1), call("g", "{broken"), tool_result({"b": 2}), tool_result("x"), "Hi"
    )
    dumped = made.model_dump(mode="json", exclude_unset=True)["output"]
    assert [item["type"] for item in dumped] == [
        "reasoning",
        *["function_call"] * 2,
        *["function_call_output"] * 2,
        "message",
    ]
    assert [item.get("call_id") for item in dumped[1:5]] == ["call_1", "call_2", "call_1", "call_2"]
    assert (dumped[1]["arguments"], dumped[2]["arguments"], dumped[3]["output"]) == ('{"a":1}', "{broken", '{"b":2}')
    assert made.output_text == "Hi"


def test_a_result_without_a_call_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="has no call before it"):
        response(tool_result("x"))


def test_a_task_is_made_from_a_prompt_or_from_another_task() -> None:
    row = task("What?", expected="a")
    assert row == {"responses_create_params": {"input": "What?"}, "expected": "a"}
    assert task(row, expected="b") == {**row, "expected": "b"}
    assert task([user("Hi")])["responses_create_params"]["input"] == [
        {"role": "user", "content": "Hi", "type": "message"}
    ]


async def test_a_rollout_goes_through_the_real_agent_and_its_tools_answer_as_they_do_in_a_run() -> None:
    async with environment(Shop) as env:
        policy = [
            call("add", fruit="fig"),
            [call("add", fruit="kiwi"), call("add", fruit="plum")],
            call("add"),
            "Done.",
        ]
        scored = await env.rollout(policy, "Shop!", wanted=["fig", "kiwi"])
    assert [one.output for one in scored.calls] == [
        "fig",
        "fig, kiwi",
        '{"error":"the basket is full"}',
        '{"error":"invalid arguments: fruit: Field required"}',
    ]
    assert (scored.reward, scored.text, scored.prompt, scored.row["wanted"]) == (1.0, "Done.", "Shop!", ["fig", "kiwi"])


async def test_a_policy_may_be_a_function_of_what_it_reads() -> None:
    seen: list[list[str]] = []

    async def policy(step: PolicyStep) -> Any:
        seen.append(step.results)
        return "enough" if step.index else {"calls": [{"name": "add", "arguments": {"fruit": "fig"}}]}

    async with environment(Shop) as env:
        assert (await env.rollout(policy, "Shop!", wanted=["fig"])).reward == 1.0
    assert seen == [["Shop!"], ["fig"]]


async def test_rollouts_at_the_same_time_have_policies_and_sessions_of_their_own() -> None:
    async with environment(Shop) as env:
        fruits = ["fig", "kiwi", "plum"]
        made = [env.rollout([call("add", fruit=fruit), "Done."], wanted=[fruit]) for fruit in fruits]
        assert [scored.reward for scored in await asyncio.gather(*made)] == [1.0, 1.0, 1.0]


async def test_a_policy_that_is_asked_once_too_often_fails_the_test_and_says_what_it_read() -> None:
    async with environment(Shop) as env:
        with pytest.raises(AssertionError, match=r"has 1 answers, and is asked once more; .* 'fig'"):
            await env.rollout([call("add", fruit="fig")], wanted=[])


async def test_a_session_is_real_from_its_seed_to_its_end() -> None:
    closed.clear()
    async with environment(Shop, most=1) as env:
        async with env.session(wanted=["fig"]) as session:
            assert await session.call("add", fruit="fig") == "fig"
            assert await session.call("add", fruit="fig") == '{"error":"the basket is full"}'
            assert "there is no tool named 'steal'" in await session.call("steal")
            assert await session.verify("Done.") == 1.0
            assert await session.verify() == 0.5
        assert closed == [["fig"]]


async def test_a_tool_that_raises_is_a_failure_of_the_test() -> None:
    async with environment(Shop) as env, env.session(wanted=[]) as session:
        with pytest.raises(RolloutError, match="tool_error"):
            await session.call("crash")


async def test_a_task_that_lacks_a_field_is_refused_with_its_name() -> None:
    async with environment(Shop) as env:
        with pytest.raises(RolloutError, match="wanted"):
            await env.verify("Done.")


async def test_the_tools_are_listed_as_the_policy_reads_them() -> None:
    async with environment(Shop) as env:
        assert [one["name"] for one in await env.tools()] == ["add", "crash"]


async def test_a_server_in_the_class_style_is_tested_the_same_way() -> None:
    async with environment(OldStyle) as env:
        assert (await env.rollout([call("note", text="a"), call("note", text="b"), "Done."])).reward == 2.0


async def test_other_models_answer_as_the_test_says() -> None:
    class Judged(Environment):
        async def reward(self, rollout: Rollout) -> float:
            settings = {"judge_model_server": {"type": "responses_api_models", "name": "judge_model"}}
            prompt, labels = "{question} {expected} {generated}", {"[[yes]]": 1.0, "[[no]]": 0.0}
            judge = Judge(self.server_client, JudgeConfig(**settings, prompt=prompt, labels=labels))  # type: ignore[arg-type]
            return (await judge.ask(question="?", expected="cold", generated=rollout.text)).reward

    judge = {"judge_model": lambda step: "[[yes]]" if "? cold It is cold" in step.results[-1] else "[[no]]"}
    async with environment(Judged, models=judge) as env:
        assert [await env.verify(text) for text in ("It is cold", "It is warm")] == [1.0, 0.0]


def test_everything_works_without_await() -> None:
    with environment(Shop, most=1) as env:
        assert env.rollout([call("add", fruit="fig"), "Done."], wanted=["fig"]).reward == 1.0
        assert env.verify("Done.", wanted=[]) == 1.0
        assert len(env.tools()) == 2
        with env.session(wanted=["fig"]) as session:
            session.call("add", fruit="fig")
            assert session.verify(assistant("Done.")) == 1.0


async def test_the_fixture_starts_environments(start_environment: Callable[..., Awaitable[InProcess]]) -> None:
    env = await start_environment(Shop, most=0)
    assert await env.verify("Done.", wanted=[]) == 1.0
