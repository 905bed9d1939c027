"""Real files of a collection against the schemas that are published."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from aiohttp import web

from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.schemas import FORMATS, schema_of
from tests.unit.rollouts.conftest import Agent, MakeCollection, Row, scored, task_line


@pytest.fixture
async def paths(agent: Agent, collection: MakeCollection) -> OutputPaths:
    """A collection with a scored, a masked, a failed and an unverified rollout, and a failed attempt."""

    async def answer(row: Row) -> web.Response:
        match row["number"]:
            case 0:
                return await scored(row)
            case 1:
                mask = {"mask_sample": True, "failure_kind": "tool_error", "failure_reason": "it broke"}
                return web.json_response({**row, "reward": 0.5, "response": {"output": []}, **mask})
            case 2:
                error = {"kind": "judge_failed", "reason": "it broke", "stage": "verification"}
                return web.json_response({"error": error, "trajectory": {"response": {"output": []}}}, status=500)
        return web.json_response({"error": {"kind": "agent_error", "reason": "it broke"}}, status=500)

    agent.answer = answer
    made = collection([task_line(n) for n in range(4)] + ["not JSON"], max_attempts=2, num_repeats=2)
    await made.run()
    return made.paths


def contents(paths: OutputPaths, name: str) -> list[Any]:
    path: Path = getattr(paths, name)
    text = path.read_text()
    return [json.loads(text)] if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_collection_writes_is_what_its_schema_says(name: str, paths: OutputPaths) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema_of(name))
    records = contents(paths, name)
    assert records
    for record in records:
        validator.validate(record)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_not_of_the_format_is_refused_by_its_schema(name: str, paths: OutputPaths) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema_of(name))
    record = contents(paths, name)[0]
    required = {
        "rollouts": "reward",
        "materialized_inputs": "responses_create_params",
        "manifest": "tasks_digest",
        "metrics": "expected",
    }.get(name, "attempt")
    assert not validator.is_valid({key: value for key, value in record.items() if key != required})
    assert not validator.is_valid({**record, required: []})


def test_every_file_has_a_schema(paths: OutputPaths) -> None:
    assert {getattr(paths, name) for name in FORMATS} == set(paths.all())
