"""Rollouts inside this process: the servers, agent and collector are the real ones, the policy is a function."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

import nemo_gym
from nemo_gym import global_config
from nemo_gym.config.errors import ConfigError
from nemo_gym.environments import BaseResourcesServerConfig, Environment, Rollout
from nemo_gym.in_process.collecting import CollectionStoppedError
from nemo_gym.rollouts.collector import CollectorLimits
from tests.bounds import HANGS_AFTER_S
from tests.unit.in_process.conftest import WEATHER, Params, looks_up, never, slow_for


async def test_a_rollout_of_a_message_is_scored_with_its_trajectory_and_usage() -> None:
    async with nemo_gym.gym(WEATHER, looks_up) as gym:
        result = await gym.rollout("Weather in Paris?")
    assert (result.outcome, result.reward, result.failure_kind) == ("scored", 1.0, None)
    assert result.text == "It is cold."
    assert result.response is not None
    assert [item.type for item in result.response.output] == ["function_call", "function_call_output", "message"]
    assert result.usage is not None
    assert result.usage.input_tokens > 0
    assert result.task["responses_create_params"]["input"] == "Weather in Paris?"


async def test_collect_gives_every_repeat_of_every_task_once_with_its_task() -> None:
    async with nemo_gym.gym(WEATHER, looks_up) as gym:
        tasks = gym.example_tasks()
        results = [result async for result in gym.collect(tasks, num_repeats=3)]
    assert sorted((r.task_index, r.rollout_index) for r in results) == [(t, r) for t in range(5) for r in range(3)]
    assert all(r.task == tasks[r.task_index] for r in results)
    assert {r.task["expected_city"]: r.reward for r in results}["Paris"] == 1.0


async def test_example_tasks_are_those_of_agents_and_not_what_is_listed_below_an_environment(tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text('{"responses_create_params": {"input": "?"}}\n')
    more = [{"name": "more", "type": "example", "jsonl_fpath": str(tmp_path / "more.jsonl")}]
    config = {WEATHER: {"resources_servers": {WEATHER: {"datasets": more}}}}
    async with nemo_gym.gym(WEATHER, looks_up, config=config) as gym:
        assert [row.get("expected_city") for row in gym.example_tasks()][-1] == "Lima"


async def test_results_come_as_they_finish_and_who_stops_reading_ends_the_rest() -> None:
    async with (
        nemo_gym.gym(WEATHER, slow_for("slow")) as gym,
        aclosing(gym.collect(["slow", "quick"])) as results,
        asyncio.timeout(HANGS_AFTER_S),
    ):
        first = await anext(results)
    assert first.task_index == 1
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_gym_that_closes_cuts_off_collections_that_nobody_closed() -> None:
    async with nemo_gym.gym(WEATHER, slow_for("slow")) as gym, asyncio.timeout(HANGS_AFTER_S):
        results = gym.collect(["slow", "quick"])
        await anext(results)
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_what_the_function_raises_is_a_failure_that_names_it_and_not_a_reward() -> None:
    def broken(params: Params) -> str:
        raise KeyError("no such thing")

    async with nemo_gym.gym(WEATHER, broken) as gym:
        result = await gym.rollout("x")
    assert (result.outcome, result.reward, result.response) == ("failed", None, None)
    assert result.failure_kind == "model_bad_request"
    assert "KeyError('no such thing')" in (result.failure_reason or "")


async def test_a_collection_that_can_not_go_on_says_so_after_its_results() -> None:
    seen = []
    async with nemo_gym.gym(WEATHER, lambda params: {"nonsense": 1}) as gym:
        results = gym.collect(["x"] * 50, limits=CollectorLimits(max_in_flight=1))
        try:
            async for result in results:
                seen.append(result)
        except CollectionStoppedError as stopped:
            why = str(stopped)
    assert "model_bad_request" in why
    assert 0 < len(seen) < 50


async def test_a_masked_rollout_keeps_its_reward_apart_and_says_why() -> None:
    bad = {"type": "message", "role": "assistant", "content": [], "generation_token_ids": [1], "prompt_token_ids": []}
    async with nemo_gym.gym(WEATHER, lambda params: {"output": [{**bad, "generation_log_probs": []}]}) as gym:
        result = await gym.rollout("x")
    assert (result.outcome, result.failure_kind) == ("masked", "token_data_invalid")


async def test_params_reach_the_model_and_a_file_of_tasks_is_read(tmp_path: Path) -> None:
    asked: list[Params] = []

    def answer(params: Params) -> str:
        asked.append(params)
        return "done"

    path = tmp_path / "tasks.jsonl"
    path.write_text('{"responses_create_params": {"input": "one"}}\n{"responses_create_params": {"input": "two"}}\n')
    async with nemo_gym.gym(WEATHER, answer) as gym:
        _ = [result async for result in gym.collect(path, params={"temperature": 0.3})]
    assert [params["temperature"] for params in asked] == [0.3, 0.3]


async def test_settings_of_servers_are_given_as_configuration_keys() -> None:
    warm = {WEATHER: {"resources_servers": {WEATHER: {"weather_description": "warm"}}}}
    async with nemo_gym.gym(WEATHER, looks_up, config=warm) as gym:
        result = await gym.rollout("Weather in Paris?")
    assert '"weather_description":"warm"' in str(result.row["response"]["output"][1]["output"])


class GuessConfig(BaseResourcesServerConfig):
    prefix: str = ""


class Guess(Environment):
    """An environment that lies in no folder, as one of a notebook."""

    config: GuessConfig

    def reward(self, rollout: Rollout, number: int) -> float:
        return float(self.config.prefix + str(number) == rollout.text)


async def test_an_environment_may_be_a_class_of_the_program_and_is_configured_by_its_name() -> None:
    settings = {"Guess": {"resources_servers": {"Guess": {"prefix": "It is "}}}}
    async with nemo_gym.gym(Guess, lambda params: "It is 7", config=settings) as gym:
        tasks = [{"responses_create_params": {"input": "Which number?"}, "number": number} for number in (7, 8)]
        rewards = {result.task["number"]: result.reward async for result in gym.collect(tasks)}
    assert rewards == {7: 1.0, 8: 0.0}


async def test_the_configuration_of_the_process_is_what_it_was_before() -> None:
    before = global_config.kept_global_config_dict()
    async with nemo_gym.gym(WEATHER, looks_up):
        assert WEATHER in (global_config.kept_global_config_dict() or {})
    assert global_config.kept_global_config_dict() is before


async def test_mistakes_are_told_when_it_is_opened_and_nothing_stays() -> None:
    before = global_config.kept_global_config_dict()
    with pytest.raises(ConfigError, match="no_such_environment"):
        async with nemo_gym.gym("no_such_environment", looks_up):
            pass
    with pytest.raises(ConfigError, match="no agent named 'nobody'"):
        async with nemo_gym.gym(WEATHER, looks_up, agent_name="nobody"):
            pass
    misspelt = {WEATHER: {"resources_servers": {WEATHER: {"tool_timeout_s": -1}}}}
    with pytest.raises(ConfigError, match="tool_timeout_s"):
        async with nemo_gym.gym(WEATHER, looks_up, config=misspelt):
            pass
    assert global_config.kept_global_config_dict() is before


async def test_a_model_is_checked_before_the_first_rollout_and_only_then() -> None:
    block = {"scripted_model": {"default_answer": {"message": "done"}, "keep_requests": 10}}
    async with nemo_gym.gym(WEATHER, block) as gym:
        for _ in range(3):
            await gym.rollout("x")
        kept = await gym.client.get("policy_model", "/script/requests")
        asked = [entry["body"]["input"] for entry in (await kept.json())["requests"]]
    assert asked == ["ping", *[[{"role": "user", "content": "x"}]] * 3]


def test_the_blocking_form_gives_the_same_without_await_and_leaves_no_thread() -> None:
    threads = threading.active_count()
    with nemo_gym.gym(WEATHER, looks_up) as gym:
        assert gym.rollout("Weather in Paris?").reward == 1.0
        assert len(list(gym.collect(["a", "b"], num_repeats=2))) == 4
    gym.close()
    assert threading.active_count() <= threads


def test_an_opened_gym_can_be_left_half_way_through_a_collection() -> None:
    gym = nemo_gym.gym(WEATHER, slow_for("slow")).open()
    for result in gym.collect(["slow", "quick"]):
        assert result.task_index == 1
        break
    assert gym.rollout("quick").outcome == "scored"
    gym.close()


async def test_the_dataframe_has_one_line_for_each_result() -> None:
    async with nemo_gym.gym(WEATHER, looks_up) as gym:
        results = [result async for result in gym.collect(["Paris?", "Rome?"])]
    frame = nemo_gym.to_dataframe(results)
    assert list(frame["outcome"]) == ["scored", "scored"]
    assert frame["reward"].mean() == 1.0
    assert list(frame["num_tool_calls"]) == [1, 1]


INTERRUPTED = """
import asyncio, sys, nemo_gym
async def never(params):
    print("asked", flush=True)
    await asyncio.sleep(3600)
async def main():
    async with nemo_gym.gym("example_simple_weather", never) as gym:
        await gym.rollout("x")
def blocking():
    with nemo_gym.gym("example_simple_weather", never) as gym:
        gym.rollout("x")
asyncio.run(main()) if sys.argv[1] == "async" else blocking()
"""


@pytest.mark.parametrize("form", ["async", "blocking"])
def test_ctrl_c_ends_a_program_that_waits_for_a_rollout_and_leaves_nothing(form: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, form], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "asked\n"
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=HANGS_AFTER_S)
    assert process.returncode != 0
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert not [child for child in children if child.is_running()]


def test_a_policy_that_never_answers_does_not_keep_a_gym_from_closing() -> None:
    asked: list[Params] = []

    async def answer(params: Params) -> str:
        asked.append(params)
        return await never(params)

    gym = nemo_gym.gym(WEATHER, answer).open()
    results = iter(gym.collect(["x"]))
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(next, results)
        while not asked:
            time.sleep(0.01)
        gym.close()
        with pytest.raises(CollectionStoppedError, match="closed"):
            waiting.result(HANGS_AFTER_S)
