"""What a collection leaves on disk and how it goes on from there, against an agent on a real socket."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from nemo_gym.collections.line_file import read_lines
from nemo_gym.collections.metrics.metrics import Metrics
from nemo_gym.collections.reading.reader import CollectionReader
from nemo_gym.config.errors import ConfigError
from tests.unit.rollouts.conftest import Agent, MakeCollection, Row, failing, scored, task_line


def places(path: Path) -> list[tuple[int, int]]:
    return [(row["_ng_task_index"], row["_ng_rollout_index"]) for row in read_lines(path)]


async def test_each_row_is_kept_as_it_was_sent_with_its_agent_and_place(
    agent: Agent, collection: MakeCollection
) -> None:
    made = collection(2, num_repeats=2, responses_create_params={"temperature": 0.3}, num_samples_in_parallel=1)
    await made.run()
    rows = list(read_lines(made.paths.materialized_inputs))
    marks = {"agent_ref": {"type": "responses_api_agents", "name": "agent"}, "_ng_task_index": 1}
    assert rows[-1] == {**agent.asked[-1], **marks, "_ng_rollout_index": 1}
    assert rows[-1]["responses_create_params"]["temperature"] == 0.3
    assert places(made.paths.materialized_inputs) == [(0, 0), (0, 1), (1, 0), (1, 1)]


async def test_a_row_is_kept_once_however_often_it_is_sent_and_started_again(
    agent: Agent, collection: MakeCollection
) -> None:
    agent.answer = failing("agent_error")
    made = collection([task_line(0), "not JSON", task_line(2)], max_attempts=2)
    await made.run()
    assert len(agent.asked) == 4
    with made.paths.materialized_inputs.open("r+b") as file:
        file.truncate(made.paths.materialized_inputs.stat().st_size - 10)  # the last row was lost with the power
    agent.answer = None
    await collection([task_line(0), "not JSON", task_line(2)]).run()
    assert sorted(places(made.paths.materialized_inputs)) == [(0, 0), (2, 0)]


async def test_a_report_gives_the_rollouts_one_at_a_time(collection: MakeCollection) -> None:
    report = await collection(3).run()
    rollouts = report.rollouts()
    assert next(rollouts).row["reward"] == 1.0
    assert len(list(rollouts)) == 2


async def test_the_manifest_is_whole_before_the_first_rollout_begins(agent: Agent, collection: MakeCollection) -> None:
    made = collection(1)
    seen: list[Any] = []

    async def answer(row: Row) -> web.Response:
        seen.append(CollectionReader(made.paths.rollouts).manifest())
        return await scored(row)

    agent.answer = answer
    await made.run()
    assert [manifest.num_tasks for manifest in seen] == [1]


async def test_a_stop_while_a_large_output_is_read_ends_the_reading(agent: Agent, collection: MakeCollection) -> None:
    rows = 30_000
    first = collection(rows, num_samples_in_parallel=1)

    async def answer(row: Row) -> web.Response:
        first.stop("enough")
        return await scored(row)

    agent.answer = answer
    await first.run()
    with first.paths.rollouts.open("ab") as file:
        for task in range(1, rows):
            file.write(b'{"reward":1.0,"_ng_task_index":%d,"_ng_rollout_index":0}\n' % task)
    before = first.paths.metrics.read_bytes()
    made = collection(rows)

    class StopsAfterTheFirst(Metrics):
        def add(self, task_index: int, reward: float, line: bytes) -> None:
            super().add(task_index, reward, line)
            made.stop("interrupted")

    made.tally.metrics = StopsAfterTheFirst(made.options.pass_threshold)
    report = await made.run()
    assert 1 <= report.counts.scored < rows
    assert report.stopped_because == "interrupted"
    assert any("while files were being read" in note for note in report.notes)
    assert first.paths.metrics.read_bytes() == before, "half-read metrics were written"
    assert (await collection(rows).run()).counts.scored == rows


async def test_a_cancellation_while_files_are_read_passes_and_ends_the_reading(
    agent: Agent, collection: MakeCollection
) -> None:
    made = collection(30_000)
    running = asyncio.ensure_future(made.run())
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not agent.asked


async def test_changed_code_is_refused_unless_it_is_accepted_and_then_recorded(
    agent: Agent, collection: MakeCollection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = tmp_path / "responses_api_agents" / "any"
    component.mkdir(parents=True)
    (component / "app.py").write_text("reward = 1")
    monkeypatch.chdir(tmp_path)
    agent.answer = failing("agent_error")
    await collection(1).run()
    (component / "app.py").write_text("reward = 2")
    with pytest.raises(ConfigError, match=r"code of agent: \w{8} → \w{8}") as caught:
        await collection(1).run()
    assert "ng_reverify" in str(caught.value)
    assert "+accept_changed_code=true" in str(caught.value)
    made = collection(1, accept_changed_code=True)
    await made.run()
    manifest = CollectionReader(made.paths.rollouts).manifest()
    assert manifest is not None
    assert [change.changes[0][:14] for change in manifest.history] == ["code of agent:"]
    await collection(1).run()


async def test_code_that_is_elsewhere_is_recorded_as_unknown_and_said(collection: MakeCollection) -> None:
    made = collection(1)
    report = await made.run()
    manifest = CollectionReader(made.paths.rollouts).manifest()
    assert manifest is not None
    assert manifest.code == {"agent": None}
    assert any("the code of agent isn't on this machine" in note for note in report.notes)


async def test_only_what_the_verifier_added_is_averaged_also_after_a_resume(
    agent: Agent, collection: MakeCollection
) -> None:
    async def answer(row: Row) -> web.Response:
        return web.json_response({**row, "reward": 1.0, "accuracy": 0.5, "reward_parts": {"format": row["number"]}})

    agent.answer = answer
    report = await collection(3, num_repeats=2).run()
    assert report.metrics["mean_of"] == {"accuracy": 0.5, "reward_parts.format": 1.0}
    resumed = await collection(3, num_repeats=2, pass_threshold=0.5).run()
    assert resumed.metrics == {**report.metrics, "pass_threshold": 0.5}


async def test_an_answer_that_cannot_be_written_is_one_failed_rollout(agent: Agent, collection: MakeCollection) -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]

    async def answer(row: Row) -> web.Response:
        more = {"tree": deep} if row["number"] == 1 else {"usage": 2**70}
        return web.Response(text=json.dumps({**row, "reward": 1.0, **more}), content_type="application/json")

    agent.answer = answer
    report = await collection(3).run()
    assert (report.counts.scored, report.counts.failed_by_kind) == (2, {"verifier_error": 1})


async def test_token_counts_that_add_up_beyond_64_bits_do_not_end_a_collection(
    agent: Agent, collection: MakeCollection
) -> None:
    async def answer(row: Row) -> web.Response:
        usage = {"input_tokens": 2**63 - 1, "output_tokens": 2**70 if row["number"] else 7}
        text = json.dumps({**row, "reward": 1.0, "response": {"output": [], "usage": usage}})
        return web.Response(text=text, content_type="application/json")

    agent.answer = answer
    report = await collection(3).run()
    assert (report.counts.scored, report.metrics["output_tokens"]) == (3, 7)
