"""The commands of the first pages, in order, as a reader would type them; `ng_run` has a terminal of its own."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.free_port import free_port
from tests.integration.conftest import BIN, COMMAND_BOUND_S, ROOT
from tests.integration.test_readme import wait_for_line

pytestmark = pytest.mark.integration
WALKS = {
    "home": ["index.md"],
    "get-started": [
        "get-started/setup-installation.md",
        "get-started/first-agent.md",
        "get-started/verifying-agent-results.md",
        "get-started/collecting-rollouts.md",
    ],
}
NOT_RUN = {
    "git clone": "this is a clone",
    "make": "tests/integration/test_readme.py runs the make targets",
    "source": "the commands are on the path",
}


def commands(page: str) -> list[str]:
    """The commands of a page's bash blocks, one for each line that isn't continued."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / page).read_text(), flags=re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


@contextmanager
def _running(line: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    log = folder / "run.log"
    with log.open("wb") as out:
        process = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        wait_for_line(log, "servers are ready", process)
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(timeout=COMMAND_BOUND_S)


def _run(lines: list[str], folder: Path, environment: dict[str, str]) -> None:
    for number, line in enumerate(lines):
        if line.startswith(tuple(NOT_RUN)):
            continue
        if line.startswith("ng_run "):
            with _running(line, folder, environment):
                _run(lines[number + 1 :], folder, environment)
            return
        done = subprocess.run(
            ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=COMMAND_BOUND_S
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("walk", list(WALKS))
def test_the_commands_of_the_first_pages_do_what_they_say(
    walk: str, project: Path, environment: dict[str, str], endpoint: str
) -> None:
    values = {"policy_base_url": endpoint, "policy_api_key": "sk-canary", "policy_model_name": "scripted"}
    head = f"head_server: {{host: 127.0.0.1, port: {free_port()}}}\n"
    (project / "env.yaml").write_text(head + "".join(f"{key}: {value}\n" for key, value in values.items()))
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    _run([line for page in WALKS[walk] for line in commands(page)], project, environment)
    lines = (project / "results/rollouts.jsonl").read_text().splitlines()
    assert len(lines) == {"home": 5, "get-started": 10}[walk]
    assert all('"reward":1.0' in line for line in lines)
