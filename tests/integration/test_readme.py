"""The README's promises, kept by running its own commands as a person would type them."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import BIN, COMMAND_BOUND_S, ROOT, Command

pytestmark = pytest.mark.integration
STEP_BOUND_S = 240  # without any progress
CPU_STEP_S = 20  # of a processor, within that time: a twelfth of one, which a model that generates has on any machine
README = (ROOT / "README.md").read_text()


def blocks_of(section: str) -> list[str]:
    """The bash blocks below a heading of the README, up to the next one."""
    text = README.split(f"{section}\n", 1)[1].split("\n## ", 1)[0].split("\n### ", 1)[0]
    return re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)


def bash(script: str, cwd: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_BOUND_S,
        check=False,
    )


def wait_for_line(log: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + COMMAND_BOUND_S
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)


def without_activation(script: str) -> str:
    return script.replace("source .venv/bin/activate\n", "")


@pytest.mark.timeout(900)
def test_quickstart_with_a_key_typed_literally_gives_one_row_with_reward_one(
    project: Path, environment: dict[str, str], endpoint: str, tmp_path: Path
) -> None:
    (project / "env.yaml").write_text(
        f"policy_base_url: {endpoint}\npolicy_api_key: sk-canary-4711\npolicy_model_name: scripted\n"
    )
    run_block, client_block = blocks_of("### 2. Run an agent")
    (collect_block,) = blocks_of("### 3. Collect rollouts")
    (call_block,) = blocks_of("### 4. Call a server yourself")
    log = tmp_path / "run.log"
    with log.open("wb") as out:
        run = subprocess.Popen(
            ["bash", "-c", run_block.replace("ng_run", "exec ng_run")],
            cwd=project,
            env=environment,
            stdout=out,
            stderr=out,
        )
    try:
        wait_for_line(log, "servers are ready", run)
        (project / "responses_api_agents").symlink_to(ROOT / "responses_api_agents")
        asked = bash(without_activation(client_block), project, environment)
        assert asked.returncode == 0, asked.stderr
        assert [item["type"] for item in json.loads(asked.stdout)] == [
            "function_call",
            "function_call_output",
            "message",
        ]
        (project / "responses_api_agents").unlink()
        collected = bash(collect_block, project, environment)
        assert collected.returncode == 0, collected.stderr
        (row,) = [json.loads(line) for line in (project / "weather_rollouts.jsonl").read_text().splitlines()]
        assert row["reward"] == 1.0
        assert (row["_ng_task_index"], row["_ng_rollout_index"]) == (0, 0)
        assert not (project / "outputs").exists()
        if shutil.which("curl"):
            called = bash(call_block, project, environment)
            assert [server["state"] for server in json.loads(called.stdout)] == ["ready"] * 3, called.stderr
    finally:
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=COMMAND_BOUND_S) == 130
    assert "sk-canary-4711" not in log.read_text() + (project / "weather_rollouts.jsonl").read_text()


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


def test_own_environment_made_as_the_readme_says_passes_its_tests(project: Path, environment: dict[str, str]) -> None:
    (block,) = blocks_of("## Write your own environment")
    done = bash(block, project, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


@pytest.mark.parametrize("name", re.findall(r"`(ng_\w+)`", README.split("## The commands")[1].split("\n## ")[0]))
def test_every_command_of_the_readme_explains_itself(command: Command, name: str) -> None:
    done = command(name, "--help")
    assert done.status == 0, done.err
    assert name in done.out
    assert (BIN / f"nemo_gym_{name.removeprefix('ng_')}").exists()


def test_every_page_the_readme_points_to_exists() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target
