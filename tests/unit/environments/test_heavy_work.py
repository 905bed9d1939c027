"""Heavy work: it is done elsewhere, in bounds, and what doesn't end is ended."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient

from nemo_gym.environments import (
    BaseResourcesServerConfig,
    Environment,
    HeavyWork,
    HeavyWorkConfig,
    Rollout,
    WorkError,
    WorkLimitExceeded,
)
from nemo_gym.environments.heavy_work import process
from nemo_gym.wire.failure import RolloutError
from tests.bounds import HANGS_AFTER_S
from tests.unit.environments import heavy_functions as work
from tests.unit.environments.conftest import verify_request
from tests.unit.environments.heavy_waits import gone, started

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
async def one() -> AsyncIterator[HeavyWork]:
    """Heavy work in a single process, with little CPU time."""
    heavy = HeavyWork(HeavyWorkConfig(max_processes=1, cpu_limit_s=0.2, wall_limit_s=HANGS_AFTER_S))
    yield heavy
    await heavy.close()


async def test_a_function_runs_in_a_process_that_is_kept(one: HeavyWork) -> None:
    assert await one.run(work.double, 21) == 42
    assert await one.run(work.process) == await one.run(work.process)


async def test_many_calls_share_few_processes() -> None:
    heavy = HeavyWork(HeavyWorkConfig(max_processes=2))
    assert await asyncio.gather(*(heavy.run(work.double, n) for n in range(50))) == [2 * n for n in range(50)]
    assert len(set(await asyncio.gather(*(heavy.run(work.process) for _ in range(20))))) <= 2
    await heavy.close()


async def test_a_cluster_that_is_not_there_is_a_failure_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    heavy = HeavyWork(HeavyWorkConfig(), on_cluster=True)
    with pytest.raises(RolloutError, match=r"no Ray cluster answers at 127\.0\.0\.1:1: Connection refused") as raised:
        await heavy.run(work.double, 1)
    assert raised.value.failure.kind == "verifier_error"
    await heavy.close()


async def test_an_error_is_told_in_words(one: HeavyWork) -> None:
    with pytest.raises(WorkError, match="ValueError: no such number"):
        await one.run(work.fail, "no such number")


@pytest.mark.parametrize("function", [work.spin, work.backtrack, work.eat_memory, work.crash])
async def test_what_takes_too_much_is_ended_and_the_process_replaced(one: HeavyWork, function: object) -> None:
    with pytest.raises(WorkLimitExceeded):
        await one.run(function)  # type: ignore[arg-type]
    assert await one.run(work.double, 4) == 8


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (work.missing_package, "No module named 'no_such_package'.*install there"),
        (work.missing_file, "FileNotFoundError"),
        (work.no_json, "not JSON serializable"),
    ],
)
async def test_what_the_machine_or_the_function_lacks_is_a_failure_and_no_fault_of_the_answer(
    one: HeavyWork, function: Callable[[], object], reason: str
) -> None:
    with pytest.raises(RolloutError, match=reason) as raised:
        await one.run(function)
    assert raised.value.failure.kind == "verifier_error"


async def test_a_function_that_gives_up_in_time_has_raised(one: HeavyWork) -> None:
    with pytest.raises(WorkError, match="TimeoutError: it gave up"):
        await one.run(work.time_out)


async def test_the_limit_of_cpu_time_is_for_each_call(one: HeavyWork) -> None:
    for _ in range(2):
        with pytest.raises(WorkLimitExceeded, match=r"0\.2 s of CPU time"):
            await one.run(work.spin)


async def test_the_event_loop_runs_while_work_does(one: HeavyWork) -> None:
    spinning = asyncio.create_task(one.run(work.spin))
    turns = 0
    while not spinning.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 1000
    assert isinstance(spinning.exception(), WorkLimitExceeded)


async def test_work_that_hangs_without_computing_is_a_failure_and_no_verdict(tmp_path: Path) -> None:
    heavy = HeavyWork(HeavyWorkConfig(max_processes=1, wall_limit_s=0.2))
    pid = await heavy.run(work.process)  # it has started: the limit of the start is another
    with pytest.raises(RolloutError, match="wall_limit_s") as raised:
        await heavy.run(work.sleep, str(tmp_path / "note"))
    assert raised.value.failure.kind == "verifier_timeout"
    await gone(pid)
    assert await heavy.run(work.double, 1) == 2
    await heavy.close()


async def test_cancelled_work_ends_and_makes_room(one: HeavyWork, tmp_path: Path) -> None:
    sleeping = asyncio.create_task(one.run(work.sleep, str(tmp_path / "note")))
    pid = await started(tmp_path / "note")
    waiting = asyncio.create_task(one.run(work.double, 5))
    unwanted = asyncio.create_task(one.run(work.sleep, str(tmp_path / "never")))
    await asyncio.sleep(0)
    for task in (sleeping, unwanted):
        task.cancel()
    assert await waiting == 10
    await gone(pid)
    assert await one.run(work.double, 6) == 12
    assert not (tmp_path / "never").exists()


async def test_what_is_too_much_to_wait_is_refused(tmp_path: Path) -> None:
    heavy = HeavyWork(HeavyWorkConfig(max_processes=1, max_waiting=1))
    tasks = [asyncio.create_task(heavy.run(work.sleep, str(tmp_path / "note")))]
    await started(tmp_path / "note")
    tasks.append(asyncio.create_task(heavy.run(work.double, 1)))
    await asyncio.sleep(0)
    with pytest.raises(RolloutError, match="max_waiting"):
        await heavy.run(work.double, 2)
    await heavy.close()
    assert all(isinstance(e, RolloutError) for e in await asyncio.gather(*tasks, return_exceptions=True))


async def test_closing_ends_running_work_and_refuses_more(tmp_path: Path) -> None:
    heavy = HeavyWork(HeavyWorkConfig(max_processes=1))
    sleeping = asyncio.create_task(heavy.run(work.sleep, str(tmp_path / "note")))
    pid = await started(tmp_path / "note")
    await heavy.close()
    await gone(pid)
    with pytest.raises(RolloutError, match="killed"):
        await sleeping
    with pytest.raises(RolloutError, match="stops"):
        await heavy.run(work.double, 1)


async def test_a_pool_that_nobody_closes_ends_its_processes_when_it_is_no_longer_used() -> None:
    heavy = HeavyWork(HeavyWorkConfig(max_processes=1))
    pid = await heavy.run(work.process)
    del heavy
    await gone(pid)


async def test_a_process_inside_c_code_ends_with_its_parent() -> None:
    script = f"""
import json, runpy
process = runpy.run_path({process.__file__!r})["WorkProcess"]([{str(REPOSITORY)!r}], 4 << 30)
call = {{"module": {work.__name__!r}, "file": {work.__file__!r}, "arguments": [], "cpu_limit_s": 60}}
print(json.loads(process.answer({{**call, "name": "process"}}, 60).line)["value"], flush=True)
process.answer({{**call, "name": "backtrack"}}, 60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    child = psutil.Process(pid)
    async with asyncio.timeout(HANGS_AFTER_S):
        while child.cpu_times().user < 0.5:  # it is at it
            await asyncio.sleep(0.01)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await gone(pid)


class Pid(Environment):
    async def reward(self, rollout: Rollout) -> float:
        return float(await self.heavy_work.run(work.process))


async def test_the_processes_of_an_environment_end_with_its_server() -> None:
    server = Pid(config=BaseResourcesServerConfig(host="", port=0, entrypoint="", name="pid"))
    with TestClient(server.setup_webserver()) as client:
        pid = int(client.post("/verify", json=verify_request()).json()["reward"])
        assert psutil.pid_exists(pid)
    await gone(pid)


async def test_only_functions_that_another_process_can_find_are_taken(one: HeavyWork) -> None:
    with pytest.raises(TypeError, match="top level"):
        await one.run(lambda: 1)
