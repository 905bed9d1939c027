"""State, tasks and rewards of environments in the short style."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from nemo_gym.environments import Environment, Rollout, Verdict, single_answer, tool
from tests.unit.environments.conftest import PARAMS, call, message, result, verify_request

Serve = Callable[..., TestClient]
closed: list[Any] = []


@dataclass
class Basket:
    fruits: list[str] = field(default_factory=list)


class Shop(Environment):
    @tool
    async def add(self, state: Basket, fruit: str) -> str:
        state.fruits.append(fruit)
        return ", ".join(state.fruits)

    def reward(self, state: Basket, wanted: list[str]) -> float:
        return float(state.fruits == wanted)

    async def close_state(self, state: Basket) -> None:
        closed.append(state.fruits)


class Counter(Environment):
    """Its state is made from the task."""

    def new_state(self, start: int, step: int = 1) -> list[int]:
        return [start, step]

    @tool
    def add(self, state: list[int]) -> str:
        state[0] += state[1]
        return str(state[0])

    def reward(self, state: list[int], goal: int) -> bool:
        return state[0] == goal


class Task(BaseModel):
    """Fields of a task row."""

    expected: str
    bonus: float = 0.5


class Graded(Environment):
    async def reward(self, rollout: Rollout, task: Task) -> Verdict:
        parts = {"right": float(task.expected in rollout.text), "polite": float("please" in rollout.text)}
        return Verdict.of_parts(parts, weights={"polite": task.bonus}, gates=("right",), length=len(rollout.text))


def test_each_session_has_a_state_of_its_own(serve: Serve) -> None:
    first = serve(Shop)
    second = TestClient(first.app)
    for client in (first, second):
        client.post("/seed_session", json={"responses_create_params": PARAMS, "wanted": ["fig"]})
    assert first.post("/add", json={"fruit": "fig"}).text == "fig"
    rewards = [c.post("/verify", json=verify_request(wanted=["fig"])).json()["reward"] for c in (first, second)]
    assert rewards == [1.0, 0.0]


def test_a_call_without_a_session_is_lost(serve: Serve) -> None:
    answer = serve(Shop).post("/add", json={"fruit": "fig"})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (409, "session_lost")


def test_the_state_is_handed_over_when_the_session_ends(serve: Serve) -> None:
    closed.clear()
    client = serve(Shop)
    client.post("/seed_session", json={"responses_create_params": PARAMS})
    client.post("/add", json={"fruit": "fig"})
    assert client.post("/close_session", json={}).json() == {"closed": True}
    assert closed == [["fig"]]


def test_a_state_may_be_made_from_the_task(serve: Serve) -> None:
    client = serve(Counter)
    task = {"responses_create_params": PARAMS, "start": 5, "step": 2, "goal": 7}
    assert client.post("/seed_session", json=task).status_code == 200
    assert client.post("/add", json={}).text == "7"
    assert client.post("/verify", json=verify_request(start=5, goal=7)).json()["reward"] == 1.0


def test_a_task_without_what_the_state_needs_is_refused_when_it_is_seeded(serve: Serve) -> None:
    answer = serve(Counter).post("/seed_session", json={"responses_create_params": PARAMS})
    assert answer.status_code == 422
    assert "start" in answer.json()["error"]["reason"]


def test_a_verdict_has_parts_and_fields_and_repeats_the_task(serve: Serve) -> None:
    body = verify_request(message("please 4"), expected="4", note="kept")
    row = serve(Graded).post("/verify", json=body).json()
    assert row["reward"] == 1.0
    assert row["reward_parts"] == {"right": 1.0, "polite": 1.0}
    assert (row["length"], row["note"], row["expected"], row["bonus"]) == (8, "kept", "4", 0.5)
    assert row["response"]["output"][0]["content"][0]["text"] == "please 4"


def test_a_gate_that_is_missed_leaves_nothing(serve: Serve) -> None:
    row = serve(Graded).post("/verify", json=verify_request(message("please 5"), expected="4")).json()
    assert (row["reward"], row["reward_parts"]["polite"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("parts", "options", "reward"),
    [
        ({"a": 1.0, "b": 0.0}, {}, 0.5),
        ({"a": 1.0, "b": 0.0}, {"weights": {"a": 3.0}}, 0.75),
        ({"a": 1.0, "g": 1.0}, {"gates": ("g",)}, 1.0),
        ({"g": 1.0}, {"gates": ("g",)}, 1.0),
        ({"g": 0.0}, {"gates": ("g",)}, 0.0),
    ],
)
def test_the_reward_of_parts_is_their_weighted_mean(
    parts: dict[str, float], options: dict[str, Any], reward: float
) -> None:
    assert Verdict.of_parts(parts, **options).reward == reward


@pytest.mark.parametrize(
    "options", [{"weights": {"x": 1.0}}, {"gates": ("x",)}, {"weights": {"a": -1.0}}, {"weights": {"a": 0.0}}]
)
def test_weights_and_gates_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"part|weight"):
        Verdict.of_parts({"a": 1.0}, **options)


def test_one_function_is_an_environment(serve: Serve) -> None:
    @single_answer
    def exact(answer: str, expected: str, ignore_case: bool = False) -> float:
        """The answer has to be the expected one."""
        return float(answer.lower() == expected.lower() if ignore_case else answer == expected)

    client = serve(exact)
    assert client.get("/tools").json() == []
    bodies = [verify_request(message("A"), expected="a"), verify_request(message("A"), expected="a", ignore_case=True)]
    assert [client.post("/verify", json=body).json()["reward"] for body in bodies] == [0.0, 1.0]
    assert client.post("/verify", json=verify_request(message("A"))).status_code == 422


def test_one_coroutine_function_is_an_environment(serve: Serve) -> None:
    @single_answer
    async def exact(answer: str, expected: str) -> float:
        return float(answer == expected)

    assert serve(exact).post("/verify", json=verify_request(message("a"), expected="a")).json()["reward"] == 1.0


def test_a_rollout_shows_texts_and_calls_with_their_results(serve: Serve) -> None:
    seen: list[Rollout] = []

    class Looking(Environment):
        def reward(self, rollout: Rollout) -> float:
            seen.append(rollout)
            return 0.0

    output = [message("first"), call("f", '{"a": 1}'), result("one"), call("g", "[]", "c2"), message("last")]
    assert serve(Looking).post("/verify", json=verify_request(*output)).status_code == 200
    (rollout,) = seen
    assert (rollout.text, rollout.texts, rollout.prompt) == ("last", ["first", "last"], "What?")
    assert [(c.name, c.arguments, c.output) for c in rollout.calls] == [("f", {"a": 1}, "one"), ("g", None, None)]
    assert [c.name for c in rollout.calls_of("g")] == ["g"]
    assert not rollout.is_cut_off


@pytest.mark.parametrize("output", [[], [message("x"), call("f", "{}")]])
def test_a_rollout_that_ends_without_a_message_has_no_final_text(serve: Serve, output: list[dict[str, Any]]) -> None:
    @single_answer
    def is_empty(answer: str) -> bool:
        return answer == ""

    assert serve(is_empty).post("/verify", json=verify_request(*output)).json()["reward"] == 1.0


def test_states_of_different_types_are_a_mistake() -> None:
    with pytest.raises(TypeError, match="must have the same type"):

        class Mixed(Environment):
            @tool
            def one(self, state: Basket) -> str:
                return ""

            def reward(self, state: list[str]) -> float:
                return 0.0


def test_a_task_that_is_no_model_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="must be a pydantic model"):

        class Wrong(Environment):
            def reward(self, task: dict[str, Any]) -> float:
                return 0.0


class Understood(Environment):
    def reward(self, expected: str) -> Verdict:
        return Verdict(1.0, fields={"expected": expected.strip().upper()})


def test_a_verdict_may_say_a_field_of_the_task_as_it_was_understood(serve: Serve) -> None:
    row = serve(Understood).post("/verify", json=verify_request(expected=" b ")).json()
    assert (row["expected"], row["reward"]) == ("B", 1.0)
