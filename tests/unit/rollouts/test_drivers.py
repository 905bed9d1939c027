"""A collection with drivers: real processes that ask a real agent; counts, files and order are those of one process."""

import asyncio
import os
import signal
import socket
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
from aiohttp import web

from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.line_file import read_lines
from nemo_gym.collections.tasks import Task
from nemo_gym.collections.writing.writer import Output
from nemo_gym.config.errors import ConfigError
from nemo_gym.rollouts.collection import Collection
from nemo_gym.rollouts.drivers.messages import Settings
from nemo_gym.rollouts.drivers.pool import DriverPool
from nemo_gym.rollouts.drivers.process import DriverProcess, StartDriver, start_process
from nemo_gym.rollouts.runner import RunnerLostError, Work
from nemo_gym.servers.runs.access import RunAccess
from tests.bounds import HANGS_AFTER_S
from tests.unit.rollouts.conftest import Agent, MakeCollection, Row, failing, never, scored, task_line, until

BAD_TOKENS = [
    {"type": "message", "prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-1.0]},
    {"type": "function_call_output", "call_id": "c", "output": "cold"},
    {"type": "message", "prompt_token_ids": [1, 3], "generation_token_ids": [4], "generation_log_probs": [-1.0]},
]


def drivers() -> list[int]:
    """Return the pids of the drivers that this process has started."""
    children = psutil.Process().children()
    return [child.pid for child in children if "nemo_gym.rollouts.drivers.driver" in child.cmdline()]


def keys(made: Collection) -> Counter[tuple[int, int]]:
    return Counter((row["_ng_task_index"], row["_ng_rollout_index"]) for row in read_lines(made.paths.rollouts))


async def test_two_drivers_settle_every_rollout_once_with_the_files_of_one_process(
    agent: Agent, collection: MakeCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(row: Row) -> web.Response:
        await asyncio.sleep(0.02)
        return web.json_response({**row, "reward": 0.5, "score": row["number"], "response": {"output": []}})

    agent.answer = answer
    lines = [task_line(number) for number in range(20)] + ["not json"]
    made = collection(lines, num_repeats=2, num_drivers=2, num_samples_in_parallel=6)
    monkeypatch.setenv("NEMO_GYM_RUN_CA", "of-another-run.pem")  # drivers go by what the collection says
    report = await made.run()
    counts = report.counts
    assert (counts.expected, counts.scored, counts.failed_by_kind) == (42, 40, {"input_invalid": 2})
    assert keys(made) == Counter((task, repeat) for task in range(20) for repeat in range(2))
    assert (agent.peak, len(agent.asked)) == (6, 40)
    assert report.metrics["mean_of"] == {"score": 9.5}, "`number` is a field of the tasks, not a result"
    events = Counter((e["event"], e["_ng_task_index"], e["_ng_rollout_index"]) for e in read_lines(made.paths.journal))
    assert set(events.values()) == {1}
    sent = Counter(
        (row["_ng_task_index"], row["_ng_rollout_index"]) for row in read_lines(made.paths.materialized_inputs)
    )
    assert sent == keys(made)
    assert drivers() == []


async def test_attempts_and_masks_in_a_driver_are_those_of_one_process(
    agent: Agent, collection: MakeCollection
) -> None:
    async def answer(row: Row) -> web.Response:
        if len(agent.asked) < 3:
            return await failing("agent_error")(row)
        return web.json_response({**row, "reward": 1.0, "response": {"output": BAD_TOKENS}})

    agent.answer = answer
    made = collection(1, max_attempts=3, num_drivers=2)
    report = await made.run()
    events = [(event["event"], event["attempt"]) for event in read_lines(made.paths.journal)]
    assert events == [("dispatched", 0), ("failed", 0), ("dispatched", 1), ("failed", 1), ("dispatched", 2)]
    assert report.counts.masked_by_kind == {"token_data_invalid": 1}
    assert report.example[0].startswith("token_data_invalid, the first one masked, task 0, repeat 0: model call 2: ")


@pytest.mark.parametrize("max_attempts", [2, 1], ids=["attempted-again", "out-of-attempts"])
async def test_rollouts_of_a_killed_driver_are_lost_nowhere_and_settled_once(
    max_attempts: int, agent: Agent, collection: MakeCollection, capsys: pytest.CaptureFixture[str]
) -> None:
    release = asyncio.Event()

    async def answer(row: Row) -> web.Response:
        await release.wait()
        return await scored(row)

    agent.answer = answer
    made = collection(8, num_drivers=2, num_samples_in_parallel=6, max_attempts=max_attempts)
    running = asyncio.create_task(made.run())
    await until(lambda: agent.in_flight == 6)
    os.kill(drivers()[0], signal.SIGKILL)
    await until(lambda: agent.cancelled == 3)
    release.set()
    counts = (await running).counts
    assert "was killed by SIGKILL while it ran 3 rollouts" in capsys.readouterr().err
    lost = [e for e in read_lines(made.paths.journal) if e["event"] == "failed"] + list(read_lines(made.paths.failures))
    assert {(failure["failure_kind"], failure["origin"]["server"]) for failure in lost} == {
        ("server_died", "collector")
    }
    assert len(lost) == 3
    if max_attempts == 1:
        assert (counts.scored, counts.failed_by_kind) == (5, {"server_died": 3})
        counts = (await collection(8).run()).counts  # one process goes on where two drivers have stopped
    assert (counts.scored, counts.not_settled) == (8, 0)
    assert set(keys(made).values()) == {1}
    assert len(agent.asked) == 8 + 3


async def test_a_stop_lets_what_runs_in_drivers_end_and_starts_nothing_more(
    agent: Agent, collection: MakeCollection
) -> None:
    release = asyncio.Event()

    async def answer(row: Row) -> web.Response:
        await release.wait()
        return await (failing("agent_error") if row["number"] == 0 else scored)(row)

    agent.answer = answer
    made = collection(8, num_drivers=2, num_samples_in_parallel=4, max_attempts=3)
    running = asyncio.create_task(made.run())
    await until(lambda: agent.in_flight == 4)
    made.stop("interrupted", drain_s=HANGS_AFTER_S)
    release.set()
    report = await running
    counts = report.counts
    assert (counts.scored, counts.failed, counts.not_settled) == (3, 1, 4), "a stop ends the attempts"
    assert report.stopped_because == "interrupted"
    assert len(agent.asked) == 4


async def process_that_fails() -> DriverProcess:
    """Start what is no driver, and ends."""
    ours, theirs = socket.socketpair()
    theirs.close()
    return DriverProcess(await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(3)"), ours)


def pool(start: StartDriver, agent: Agent, output: Output) -> DriverPool:
    config = {"agent": {"responses_api_agents": {"any": {"host": "127.0.0.1", "port": agent.port}}}}
    settings = Settings("127.0.0.1", 1, config, RunAccess(), "agent", {}, 3, HANGS_AFTER_S, None, [])
    return DriverPool(start, settings, output, lambda example: None, num_drivers=1)


async def test_drivers_that_do_not_start_are_a_mistake_and_those_that_die_again_and_again_end_it(
    agent: Agent, tmp_path: Path
) -> None:
    output = Output(OutputPaths(tmp_path / "r.jsonl"))
    with pytest.raises(ConfigError, match=r"ended with status 3 before it was ready\n +where: num_drivers"):
        async with pool(process_that_fails, agent, output):
            pytest.fail("it isn't up")
    starts = iter([start_process, *[process_that_fails] * 3])
    agent.answer = never
    async with pool(lambda: next(starts)(), agent, output) as drivers_that_die:
        lost = asyncio.create_task(drivers_that_die.outcome(Work(Task(0, 1, task_line(0).encode()), 0)))
        await until(lambda: agent.in_flight)
        os.kill(drivers()[0], signal.SIGKILL)
        with pytest.raises(RunnerLostError):
            async with asyncio.timeout(HANGS_AFTER_S):
                await lost
    assert [event["event"] for event in read_lines(output.paths.journal)] == ["dispatched", "failed"]
    output.close()
