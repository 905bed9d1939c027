"""Collections whose agent's token data doesn't hold together: masked, counted, shown; on by default, off on request."""

import json

import pytest
from aiohttp import web

from nemo_gym.collections.line_file import read_lines
from tests.unit.rollouts.conftest import Agent, MakeCollection, Row

CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "cold"}
BAD = [2]
TASKS = 4


async def answer(row: Row) -> web.Response:
    """Two model calls; the second has another id at position 1 in the tasks of BAD, and task 3 has no token data."""
    number = row["number"]
    first = {"prompt_token_ids": [5], "generation_token_ids": [6, 7], "generation_log_probs": [-1.0, 0.0]}
    prompt = [5, 60, 7, 8] if number in BAD else [5, 6, 7, 8]
    second = {"prompt_token_ids": prompt, "generation_token_ids": [9], "generation_log_probs": [-0.25]}
    output = [CALL, RESULT, CALL] if number == 3 else [{**CALL, **first}, RESULT, {**CALL, **second}]
    return web.json_response({**row, "reward": 0.5, "response": {"output": output}})


@pytest.mark.parametrize(
    ("wanted", "masked"), [(None, [2]), (True, [2, 3]), (False, [])], ids=["by-default", "required", "off"]
)
async def test_what_breaks_a_rule_is_masked_with_its_reason_and_keeps_its_reward(
    wanted: bool | None, masked: list[int], agent: Agent, collection: MakeCollection
) -> None:
    agent.answer = answer
    made = collection(TASKS, check_token_ids=wanted)
    report = await made.run()
    rows = {row["number"]: row for row in read_lines(made.paths.rollouts)}
    assert sorted(number for number, row in rows.items() if row.get("mask_sample")) == masked
    assert {row["reward"] for row in rows.values()} == {0.5}
    assert {rows[number]["failure_kind"] for number in masked} <= {"token_data_invalid"}
    if 2 in masked:
        assert rows[2]["failure_reason"] == (
            "model call 2: prompt_token_ids don't begin with the 1 prompt and 2 generated ids of call 1: position 1 "
            "(id 0 that call 1 generated; counted from 0) differs. "
            "From position 0 on call 1 has 5, >6<, 7; call 2 has 5, >60<, 7, 8"
        )
    metrics = json.loads(made.paths.metrics.read_text())
    assert (metrics["scored"], metrics["masked"]) == (TASKS - len(masked), len(masked))
    assert metrics["masked_by_kind"] == ({"token_data_invalid": len(masked)} if masked else {})
    assert bool(report.example) == bool(masked)


async def test_without_a_server_that_decodes_the_ids_are_shown_alone(agent: Agent, collection: MakeCollection) -> None:
    agent.answer = answer
    report = await collection(TASKS).run()
    headline, earlier, later = report.example
    assert headline.startswith("token_data_invalid, the first one masked, task 2, repeat 0: model call 2: ")
    assert headline.endswith("position 1 (id 0 that call 1 generated; counted from 0) differs")
    assert earlier == "  call 1, ids from position 0 on: 5, >6<, 7"
    assert later == "  call 2, ids from position 0 on: 5, >60<, 7, 8"


async def test_what_is_masked_already_keeps_its_reason(agent: Agent, collection: MakeCollection) -> None:
    async def masked(row: Row) -> web.Response:
        mask = {"mask_sample": True, "failure_kind": "tool_error", "failure_reason": "it broke"}
        return web.json_response({**json.loads((await answer(row)).text or ""), **mask})

    agent.answer = masked
    made = collection(TASKS, check_token_ids=True)
    report = await made.run()
    assert {row["failure_reason"] for row in read_lines(made.paths.rollouts)} == {"it broke"}
    assert (report.counts.masked_by_kind, report.example) == ({"tool_error": TASKS}, ())


async def test_a_resume_counts_what_was_masked_before_by_its_kind(agent: Agent, collection: MakeCollection) -> None:
    agent.answer = answer
    first = await collection(TASKS).run()
    again = await collection(TASKS).run()
    assert again.counts.as_dict() == first.counts.as_dict()
    assert again.counts.masked_by_kind == {"token_data_invalid": 1}
