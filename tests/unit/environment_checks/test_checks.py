"""Every check of an environment: a good one passes, and each kind of bad one is caught by name."""

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from nemo_gym.base_resources_server import BaseVerifyRequest, BaseVerifyResponse, SimpleResourcesServer
from nemo_gym.config.errors import ConfigError
from nemo_gym.environment_checks import CHECKS, Finding, Report, check_environment
from nemo_gym.environments import Environment, Rollout, single_answer, tool
from nemo_gym.testing import task

SUMS = [task(f"What is {a} plus {b}?", expected=str(a + b)) for a, b in ((2, 3), (4, 8), (9, 8))]
SOLVED = [{**one, "solution": f"It is {one['expected']}"} for one in SUMS]
count = itertools.count()
shared: list[str] = []


@single_answer
def exact(answer: str, expected: str) -> float:
    return float(answer.split()[-1:] == [expected])


@dataclass
class Basket:
    fruits: list[str] = field(default_factory=list)


class Shop(Environment):
    """Nothing is wrong with it; its solutions are computed."""

    @tool
    async def add(self, state: Basket, fruit: str) -> str:
        state.fruits.append(fruit)
        return ", ".join(state.fruits)

    def reward(self, state: Basket, wanted: list[str]) -> float:
        return float(state.fruits == wanted)

    def solution(self, wanted: list[str]) -> list[dict[str, Any]]:
        return [{"call": {"name": "add", "arguments": {"fruit": fruit}}} for fruit in wanted]


SHOPPING = [
    task(f"Buy {' and '.join(wanted)}!", wanted=wanted) for wanted in (["fig", "kiwi"], ["plum"], ["kiwi", "fig"])
]


class OldStyle(SimpleResourcesServer):
    """In the class style, without a state."""

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        return BaseVerifyResponse(**body.model_dump(), reward=float(body.response.output_text == body.expected))  # type: ignore[attr-defined]

    def solution(self, expected: str) -> str:
        return expected


async def report_on(environment: Any, tasks: list[dict[str, Any]], *checks: str, **options: Any) -> Report:
    return await check_environment(environment, tasks, skip=set(CHECKS) - set(checks) if checks else (), **options)


@pytest.mark.parametrize(
    ("environment", "tasks"),
    [(exact, SOLVED), (Shop, SHOPPING), (OldStyle, SUMS)],
    ids=["answer", "state", "old-style"],
)
async def test_a_good_environment_passes_every_check(environment: Any, tasks: list[dict[str, Any]]) -> None:
    report = await report_on(environment, tasks)
    assert report.is_passed, str(report)
    assert [result.check for result in report.results] == [
        "data",
        "oracle",
        "null policies",
        "determinism",
        "isolation",
        "latency",
    ]


async def test_tasks_without_a_solution_are_not_proven() -> None:
    report = await report_on(exact, [SOLVED[0], *SUMS[1:]], "oracle")
    assert report.findings == [
        Finding(
            "no_solution",
            "no solution: add a field `solution` to the task, or a method `solution` to the environment",
            (1, 2),
        )
    ]


async def test_a_wrong_oracle_is_caught() -> None:
    report = await report_on(exact, [{**SOLVED[0], "solution": "It is 6"}, *SOLVED[1:]], "oracle")
    assert [str(finding) for finding in report.findings] == ["wrong_oracle: the solution is worth 0, not 1 (task 0)"]


async def test_a_solution_that_is_worth_more_than_the_maximum_is_caught() -> None:
    assert (await report_on(exact, SOLVED, "oracle", max_reward=0.5)).names == {"reward_above_maximum"}


async def test_a_solution_that_is_none_is_a_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        await report_on(exact, [{**SOLVED[0], "solution": [{"answer": "5"}]}], "oracle")
    assert "an answer has `message`, `call`, `calls` or `reasoning`, not ['answer']" in str(caught.value)
    assert "where: solution of task 0" in str(caught.value)


async def test_a_solution_that_is_too_short_is_caught() -> None:
    report = await report_on(Shop, SHOPPING[:1], "oracle", agent={"max_steps": 1})
    assert report.names == {"wrong_oracle"}


class Substring(Environment):
    def reward(self, rollout: Rollout, expected: str) -> float:
        return float(expected in rollout.text)


class LongIsGood(Environment):
    def reward(self, rollout: Rollout) -> float:
        return float(len(rollout.text) > 1_000)


class Marker(Environment):
    def reward(self, rollout: Rollout) -> float:
        return float(rollout.text.strip().endswith("[[PASS]]"))


class AnythingGoes(Environment):
    def reward(self, rollout: Rollout) -> float:
        return 1.0


class EchoIsGood(Environment):
    @tool
    async def look(self, place: str) -> str:
        return f"In {place} it is cold."

    def reward(self, rollout: Rollout) -> float:
        return float(any(call.output and call.output in rollout.text for call in rollout.calls))


class PromptIsGood(Environment):
    def reward(self, rollout: Rollout) -> float:
        return float("What is" in rollout.text)


@pytest.mark.parametrize(
    ("environment", "policy"),
    [
        (Substring, "every option at once"),
        (LongIsGood, "very long text"),
        (Marker, "the verifier's own words"),
        (AnythingGoes, "empty"),
        (AnythingGoes, "I don't know"),
        (EchoIsGood, "echo of a tool's result"),
        (PromptIsGood, "echo of the prompt"),
    ],
)
async def test_a_verifier_that_can_be_cheated_is_caught(environment: Any, policy: str) -> None:
    report = await report_on(environment, SUMS, "null_policies")
    assert f"cheatable_verifier: the null policy '{policy}' gets the maximum (task 0, 1, 2)" in str(report)
    scores = {row["null policy"]: row["mean reward"] for row in report.results[0].rows}
    assert scores[policy] == 1.0


async def test_an_option_that_every_call_covers_is_caught() -> None:
    class Caller(Environment):
        @tool
        async def guess(self, number: str) -> str:
            return "Noted."

        def reward(self, rollout: Rollout, expected: str) -> float:
            return float(any(call.arguments == {"number": expected} for call in rollout.calls))

    assert (await report_on(Caller, SUMS, "null_policies")).names == {"cheatable_verifier"}


async def test_a_verifier_that_breaks_is_caught() -> None:
    class Breaks(Environment):
        def reward(self, rollout: Rollout) -> float:
            return float(rollout.text)

    report = await report_on(Breaks, SUMS, "null_policies")
    assert "failed_rollout: the null policy 'empty' breaks it: verifier_error" in str(report)


async def test_a_reward_that_changes_is_caught() -> None:
    class Moody(Environment):
        def reward(self, rollout: Rollout) -> float:
            return float(next(count))

    report = await report_on(Moody, SUMS, "determinism")
    assert report.names == {"nondeterministic_reward"}
    ways = ("a second time", "in parallel", "in another order", "after a restart")
    assert [any(finding.what.startswith(way) for finding in report.findings) for way in ways] == [True] * 4


class LastOne(Environment):
    """Sessions share one basket, which every seed empties: alone each is right."""

    def new_state(self) -> list[str]:
        shared.clear()
        return shared

    @tool
    async def add(self, state: list[str], fruit: str) -> str:
        state.append(fruit)
        return "Added."

    def reward(self, state: list[str], wanted: list[str]) -> float:
        return float(state == wanted)

    solution = Shop.solution


class SharedOutput(LastOne):
    """Only the results of a tool show what another session did."""

    @tool
    async def add(self, state: list[str], fruit: str) -> str:
        state.append(fruit)
        return f"{len(state)} fruits"

    def reward(self, wanted: list[str]) -> float:
        return 1.0


@pytest.mark.parametrize("environment", [LastOne, SharedOutput])
async def test_a_state_that_sessions_share_is_caught(environment: Any) -> None:
    report = await report_on(environment, SHOPPING, "oracle", "isolation")
    assert report.names == {"shared_state"}


class BlockingVerifier(Environment):
    async def reward(self, rollout: Rollout) -> float:
        time.sleep(0.2)  # noqa: ASYNC251  # what is caught
        return 0.0


class BlockingTool(Environment):
    @tool
    async def wait(self) -> str:
        time.sleep(0.2)  # noqa: ASYNC251  # what is caught
        return "waited"

    def reward(self, rollout: Rollout) -> float:
        time.sleep(0.2)  # in a thread, where it keeps nobody waiting
        return 0.0


@pytest.mark.parametrize(
    ("environment", "name"), [(BlockingVerifier, "blocking_verifier"), (BlockingTool, "blocking_tool")]
)
async def test_what_blocks_the_event_loop_is_caught(environment: Any, name: str) -> None:
    report = await report_on(environment, SUMS[:1], "latency")
    assert report.names == {name}
    assert all(row["calls"] >= 5 for row in report.results[0].rows)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        pytest.param(task("What is 2 plus 3? (The answer is 5.)", expected="5"), "leaking_answer", id="in-words"),
        pytest.param(task("What is 2 plus 3?\nSolution: **5**", expected="5"), "leaking_answer", id="with-a-label"),
        pytest.param(
            task("Is it so? The correct answer: no way", expected="x", solution="no way"),
            "leaking_answer",
            id="of-the-solution",
        ),
        pytest.param(SUMS[1], "duplicate_task", id="twice"),
        pytest.param(task("What?"), "invalid_task", id="without-a-field"),
        pytest.param(
            {"responses_create_params": {"input": "?", "tools": [{"type": "function", "name": "f"}]}, "expected": "1"},
            "undeclared_tool",
            id="another-tool",
        ),
    ],
)
async def test_a_row_that_is_not_fit_is_caught(row: dict[str, Any], name: str) -> None:
    report = await report_on(exact, [*SUMS, row], "data")
    assert report.names == {name}, str(report)
    assert report.findings[0].tasks == (3,)


async def test_a_report_is_plain_data_with_a_yes_or_no() -> None:
    report = await report_on(Substring, SUMS, "null_policies", "oracle")
    read = orjson.loads(orjson.dumps(report.json()))
    assert (read["environment"], read["is_passed"]) == ("Substring", False)
    assert [(one["check"], one["is_passed"]) for one in read["checks"]] == [("oracle", False), ("null policies", False)]
    assert read["checks"][1]["findings"][0]["tasks"] == [0, 1, 2]


async def test_a_solution_may_take_the_whole_task_as_a_model() -> None:
    class Fields(BaseModel):
        expected: str

    class Computed(Environment):
        def reward(self, rollout: Rollout, task: Fields) -> float:
            return float(rollout.text == task.expected)

        async def solution(self, task: Fields) -> str:
            return task.expected

    assert (await report_on(Computed, SUMS, "oracle")).is_passed


class Turns(Environment):
    """The user asks again; a last answer alone is enough."""

    def next_turn(self, rollout: Rollout) -> str | None:
        return "Sure?" if len(rollout.texts) < 2 else None

    def reward(self, rollout: Rollout, expected: str) -> float:
        return float(rollout.text == expected)


async def test_turns_are_played_with_a_message_each_and_null_policies_go_on_to_the_end() -> None:
    tasks = [{**one, "solution": [{"message": "Let me see."}, {"message": one["expected"]}]} for one in SUMS]
    report = await report_on(Turns, tasks)
    assert report.is_passed, str(report)
