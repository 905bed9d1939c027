"""The face for programs, against a head and an agent on real sockets."""

import json
from collections.abc import Iterator

import pytest
import yaml
from aiohttp import web
from omegaconf import OmegaConf

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.rollout_collection import RolloutCollectionConfig, RolloutCollectionHelper, RolloutError
from tests.head_in_thread import head_in_thread
from tests.unit.rollouts.conftest import Agent, Row, after, failing


@pytest.fixture
def head(agent: Agent) -> Iterator[BaseServerConfig]:
    text = json.dumps(yaml.dump(OmegaConf.to_container(agent.client().global_config_dict))).encode()
    with head_in_thread(lambda path: (200, text)) as where:
        yield where


@pytest.fixture
def helper() -> RolloutCollectionHelper:
    return RolloutCollectionHelper(max_attempts=1)


def example(number: int) -> Row:
    row = {"responses_create_params": {"input": "x"}, "agent_ref": {"name": "agent"}}
    return {**row, "number": number, "_rowidx": number}


async def test_results_come_in_completion_order_with_the_row_as_it_was_given(
    agent: Agent, head: BaseServerConfig, helper: RolloutCollectionHelper
) -> None:
    agent.answer = lambda row: after(0.3 - 0.1 * row["number"], row)
    rows = [example(number) for number in range(3)]
    awaitables = list(helper.run_examples(rows, head))
    results = [await awaitable for awaitable in awaitables]
    assert [row["_rowidx"] for row, _ in results] == [2, 1, 0]
    assert all(any(row is given for given in rows) for row, _ in results)
    assert all(result["reward"] == 1.0 and result["_rowidx"] == row["_rowidx"] for row, result in results)
    assert "_ng_task_index" not in results[0][1]


async def test_a_failed_row_raises_from_its_awaitable_and_the_others_are_given(
    agent: Agent, head: BaseServerConfig, helper: RolloutCollectionHelper
) -> None:
    async def answer(row: Row) -> web.Response:
        return await (failing("judge_failed", "verification")(row) if row["number"] == 1 else after(0, row))

    agent.answer = answer
    given, failures = [], []
    for awaitable in helper.run_examples([example(number) for number in range(3)], head):
        try:
            given.append((await awaitable)[0]["number"])
        except RolloutError as error:
            failures.append(error.failure)
    assert sorted(given) == [0, 2]
    assert [(failure.kind, failure.stage) for failure in failures] == [("judge_failed", "verification")]


async def test_a_row_without_a_known_agent_raises(
    agent: Agent, head: BaseServerConfig, helper: RolloutCollectionHelper
) -> None:
    (awaitable,) = helper.run_examples([{**example(0), "agent_ref": {"name": "nobody"}}], head)
    with pytest.raises(RolloutError, match="no server named 'nobody'"):
        await awaitable


def test_the_configuration_says_what_may_be_said() -> None:
    config = RolloutCollectionConfig(input_jsonl_fpath="a", output_jsonl_fpath="b")
    assert (config.num_repeats, config.num_samples_in_parallel, config.resume) == (1, None, True)
