"""Programs that take all they can get."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace

import psutil
import pytest

from nemo_gym.sandbox import Sandbox, SandboxLevel, SandboxResult
from nemo_gym.sandbox.bubblewrap import OWN_PROCESSES
from nemo_gym.sandbox.entrypoint import SHARED_HEADROOM
from tests.unit.sandbox.conftest import SMALL, alive, scratch_folders, until

pytestmark = pytest.mark.alone
Started = Callable[[], list[psutil.Process]]

FORK_BOMB = """
import os, sys
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
MEMORY_IN_MANY_PROCESSES = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        held = bytearray(os.urandom(1024)) * 60_000
        time.sleep(60)
time.sleep(60)
"""
ENDLESS_FILES = """
try:
    for i in range(1000):
        open(str(i), 'wb').write(bytes(1_000_000))
except OSError as error:
    print(i < 10, error.strerror)
"""


def _most_processes(level: SandboxLevel) -> int:
    ours = 1 + OWN_PROCESSES  # supervisor and bwrap
    shared = level == "rlimits" and os.geteuid() != 0
    return SMALL.processes + ours + (SHARED_HEADROOM if shared else 0)


async def test_fork_bomb_stays_within_the_limit_and_nothing_of_it_is_left(sandbox: Sandbox, started: Started) -> None:
    running = asyncio.create_task(sandbox.run_python(FORK_BOMB, timeout_s=3.0))
    most = 0
    while not running.done():
        most = max(most, len(started()))
        await asyncio.sleep(0.05)
    assert running.result().limit_hit in ("time", "processes")
    assert most <= _most_processes(running.result().level)
    assert started() == []


async def test_fork_past_the_limit_is_refused_or_ends_the_program(sandbox: Sandbox) -> None:
    source = "import os, time\nfor i in range(1000):\n    if os.fork() == 0:\n        time.sleep(60)\n"
    result = await sandbox.run_python(source)
    assert result.limit_hit == "processes" or b"BlockingIOError" in result.stderr


async def test_endless_allocation_is_refused_memory(sandbox: Sandbox) -> None:
    result = await sandbox.run_python("held = []\nwhile True: held.append(bytes(10_000_000))")
    assert result.exit_status == 1
    assert b"MemoryError" in result.stderr


async def test_memory_of_many_processes_is_counted_together(sandbox: Sandbox) -> None:
    assert (await sandbox.run_python(MEMORY_IN_MANY_PROCESSES)).limit_hit == "memory"


async def test_endless_loop_ends_at_the_wall_clock(sandbox: Sandbox) -> None:
    result = await sandbox.run_python("while True: pass", timeout_s=0.5)
    assert result.timed_out
    assert result.exit_status is None


async def test_busy_program_ends_at_its_cpu_time(level: str, sandbox: Sandbox) -> None:
    short = Sandbox(replace(SMALL, cpu_s=1), "strict" if level == "namespaces" else "best_effort")
    assert (await short.run_python("while True: pass", timeout_s=60.0)).limit_hit == "cpu"


async def test_endless_output_is_cut_at_the_limit(sandbox: Sandbox) -> None:
    result: SandboxResult = await sandbox.run_python("while True: print('x' * 1000)")
    assert (result.limit_hit, len(result.stdout)) == ("output", SMALL.output_bytes)


async def test_huge_file_is_refused(sandbox: Sandbox) -> None:
    result = await sandbox.run_python("open('big', 'wb').write(bytes(5_000_000))")
    assert b"File too large" in result.stderr


async def test_many_files_fill_the_scratch_folder_and_no_more(namespaces: Sandbox) -> None:
    result = await namespaces.run_python(ENDLESS_FILES)
    assert result.stdout == b"True No space left on device\n"


async def test_process_that_outlives_its_parent_is_killed(sandbox: Sandbox, marker: str) -> None:
    # Two forks, a session of its own, deaf to signals: and it keeps the output open.
    script = f"(setsid sh -c 'trap \"\" TERM HUP INT; sleep 60; :' {marker} &) ; sleep 0.2; echo done"
    result = await sandbox.run(["sh", "-c", script])
    assert result.stdout == b"done\n"
    assert alive(marker) == []


@pytest.mark.parametrize("name", ["a", "a" * 200], ids=["deep", "long-path"])
async def test_folders_nested_too_deep_for_a_path_are_removed(sandbox: Sandbox, name: str) -> None:
    before = scratch_folders()
    source = f"import os\nfor _ in range(2000):\n    os.mkdir({name!r})\n    os.chdir({name!r})\nos.chmod('.', 0)\n"
    result = await sandbox.run_python(source)
    assert (result.exit_status, result.stderr) == (0, b"")
    assert scratch_folders() <= before


async def test_cancelled_run_leaves_nothing(sandbox: Sandbox, marker: str, started: Started) -> None:
    running = asyncio.create_task(sandbox.run(["sh", "-c", "setsid sleep 60 & sleep 60", marker]))
    assert await until(lambda: alive(marker), within_s=60)
    children = started()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert [child for child in children if child.is_running()] == []
