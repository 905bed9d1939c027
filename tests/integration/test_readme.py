"""The README's quickstart with the real model, and its table of commands; tests/docs runs its other blocks."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import BIN, ROOT, Command

pytestmark = pytest.mark.integration
STEP_BOUND_S = 240  # without any progress
CPU_STEP_S = 20  # of a processor, within that time: a twelfth of one, which a model that generates has on any machine
README = (ROOT / "README.md").read_text()


def cpu_seconds_below(pid: int) -> float:
    """CPU time of a process and of all below it that are running."""
    used = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for process in (top, *top.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                used += sum(process.cpu_times()[:2])
    return used


def run_while_it_progresses(script: str, output: Path, environment: dict[str, str], log: Path) -> int:
    """Run a script that collects into a folder, for as long as something comes of it; return its exit status.

    Progress is a server that gets ready, an attempt that begins, a rollout that is settled, and computing, of which
    servers that wait do next to nothing. What is printed isn't: the progress display goes on when nothing else does.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    seen, until = None, 0.0
    while process.poll() is None:
        now = (
            "servers are ready" in log.read_text(),
            sum(path.stat().st_size for path in output.glob("*.jsonl")),
            cpu_seconds_below(process.pid) // CPU_STEP_S,
        )
        if now != seen:
            seen, until = now, time.monotonic() + STEP_BOUND_S
        if time.monotonic() > until:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"no progress for {STEP_BOUND_S} s:\n{log.read_text()}")
        time.sleep(0.2)
    return process.returncode


@pytest.mark.alone
@pytest.mark.timeout(1800)
def test_make_quickstart_rolls_out_five_tasks_with_the_real_model_twice(
    environment: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("xllamacpp")
    output, log = ROOT / "results/quickstart", tmp_path / "quickstart.log"
    for _ in range(2):
        status = run_while_it_progresses("make quickstart", output, environment, log)
        said = log.read_text()
        assert status == 0, said
        assert re.search(r"scored\s+5", said), said
        assert "tool call  get_weather(" in said
        rows = [json.loads(line) for line in (output / "rollouts.jsonl").read_text().splitlines()]
        assert len(rows) == 5
        assert all(any(item["type"] == "function_call" for item in row["response"]["output"]) for row in rows)


@pytest.mark.parametrize("name", re.findall(r"`(ng_\w+)`", README.split("## The commands")[1].split("\n## ")[0]))
def test_every_command_of_the_readme_explains_itself(command: Command, name: str) -> None:
    done = command(name, "--help")
    assert done.status == 0, done.err
    assert name in done.out
    assert (BIN / f"nemo_gym_{name.removeprefix('ng_')}").exists()
