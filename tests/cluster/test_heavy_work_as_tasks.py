"""Heavy work on a real Ray of this machine: the same bounds, the same errors."""

import asyncio
import importlib.util
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from fastapi.testclient import TestClient

from nemo_gym.environments import HeavyWork, HeavyWorkConfig, WorkError, WorkLimitExceeded
from nemo_gym.wire.failure import RolloutError
from tests.unit.environments import heavy_functions as work
from tests.unit.environments.conftest import PARAMS, message, verify_request
from tests.unit.environments.heavy_environments import Factors, HeavyConfig
from tests.unit.environments.heavy_waits import gone, started

pytestmark = pytest.mark.cluster
CPUS = 2


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """One Ray for all tests, since it takes seconds to start."""
    ray.init(num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
async def heavy(local_ray: None) -> AsyncIterator[HeavyWork]:
    one = HeavyWork(HeavyWorkConfig(cpu_limit_s=0.2, max_waiting=2), on_cluster=True)
    yield one
    await one.close()


async def test_a_function_runs_in_a_process_of_a_ray_worker_that_is_kept(heavy: HeavyWork) -> None:
    assert await heavy.run(work.double, 21) == 42
    pid = await heavy.run(work.process)
    assert "ray::" in " ".join(psutil.Process(pid).parent().cmdline())  # type: ignore[union-attr]
    assert pid in [await heavy.run(work.process) for _ in range(CPUS)]


@pytest.mark.parametrize("function", [work.backtrack, work.eat_memory, work.crash])
async def test_what_takes_too_much_is_ended_on_its_node(heavy: HeavyWork, function: Callable[[], object]) -> None:
    with pytest.raises(WorkLimitExceeded):
        await heavy.run(function)
    assert await heavy.run(work.double, 4) == 8


async def test_an_error_is_told_in_words_and_a_missing_package_with_its_node(heavy: HeavyWork) -> None:
    with pytest.raises(WorkError, match="ValueError: no such number"):
        await heavy.run(work.fail, "no such number")
    with pytest.raises(RolloutError, match=r"node \d.*No module named 'no_such_package'.*install there") as raised:
        await heavy.run(work.missing_package)
    assert raised.value.failure.kind == "verifier_error"


async def test_work_that_hangs_is_ended_on_its_node_and_a_failure(local_ray: None, tmp_path: Path) -> None:
    heavy = HeavyWork(HeavyWorkConfig(wall_limit_s=0.2), on_cluster=True)
    await asyncio.gather(*(heavy.run(work.process) for _ in range(20)))  # the start has a limit of its own
    with pytest.raises(RolloutError, match="wall_limit_s") as raised:
        await heavy.run(work.sleep, str(tmp_path / "note"))
    assert raised.value.failure.kind == "verifier_timeout"
    await heavy.close()


async def test_as_many_calls_run_as_there_are_cpus_more_wait_and_what_is_cancelled_ends(
    heavy: HeavyWork, tmp_path: Path
) -> None:
    assert await heavy.run(work.double, 2) == 4  # it has joined, and knows how many CPUs there are
    notes = [tmp_path / str(n) for n in range(CPUS + 2)]
    calls = [asyncio.create_task(heavy.run(work.sleep, str(note))) for note in notes]
    pids = [await started(note) for note in notes[:CPUS]]
    with pytest.raises(RolloutError, match="max_waiting"):
        await heavy.run(work.double, 1)
    assert not any(note.exists() for note in notes[CPUS:])
    calls[0].cancel()
    await gone(pids[0])
    pid = await started(notes[CPUS])
    await heavy.close()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error).__name__ for error in ended] == ["CancelledError", *["RolloutError"] * (CPUS + 1)]
    for one in [pid, *pids]:
        await gone(one)
    with pytest.raises(RolloutError, match="stops"):
        await heavy.run(work.double, 1)


def loaded(file: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_code_of_an_environment_reaches_a_node_that_has_none_of_it(heavy: HeavyWork, tmp_path: Path) -> None:
    folder = tmp_path / "resources_servers" / "pine"
    folder.mkdir(parents=True)
    (folder / "needles.py").write_text("COUNT = 7\n")
    (folder / "app.py").write_text(
        "def count(times):\n    from needles import COUNT\n    return [COUNT * times, __file__]\n"
    )
    count = loaded(folder / "app.py", "app").count
    assert (await heavy.run(count, 2))[0] == 14
    shutil.rmtree(folder)
    number, file = await heavy.run(count, 3)
    assert number == 21
    assert not file.startswith(str(tmp_path))


def test_an_environment_uses_the_cluster_that_the_run_gives_it(
    local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    parents = []
    for ray_enabled in (True, False):
        config = HeavyConfig(host="", port=0, entrypoint="", name="env", ray_enabled=ray_enabled)
        with TestClient(Factors(config=config).setup_webserver()) as client:
            client.post("/seed_session", json={"responses_create_params": PARAMS, "wanted": "oak"})
            row = client.post("/verify", json=verify_request(message("oak"), wanted="oak")).json()
            assert row["reward"] == 0.5
            parents.append(psutil.Process(row["pid"]).ppid())
    assert parents[0] != os.getpid()
    assert parents[1] == os.getpid()
