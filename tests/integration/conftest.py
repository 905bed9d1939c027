"""What integration tests share: a home of their own, free ports, commands as a person types them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.free_port import free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMMAND_BOUND_S = 240  # reached only by what hangs, however busy the machine is


@dataclass(frozen=True)
class Finished:
    """What a command left behind: exit status and everything it printed."""

    status: int
    out: str
    err: str


Command = Callable[..., Finished]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "NEMO_GYM_HOME": str(home), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty folder to work in, outside the repository."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def command(project: Path, environment: dict[str, str]) -> Command:
    """Run one command in the project folder to its end."""

    def run(*arguments: str, cwd: Path = project) -> Finished:
        done = subprocess.run(
            [str(BIN / arguments[0]), *arguments[1:]],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_BOUND_S,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(name="free_port")
def _free_port() -> int:
    return free_port()


@contextmanager
def running_endpoint(environment: dict[str, str]) -> Iterator[str]:
    """Run an OpenAI-compatible endpoint: the scripted model as a plain process. Yields its base URL."""
    config = ROOT / "responses_api_models/scripted_model/configs/scripted_model.yaml"
    process = subprocess.Popen(
        [sys.executable, "-m", "responses_api_models.scripted_model.serve", "--port", "0", "--config", str(config)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening on "), line
    try:
        yield line.split()[-1] + "/v1"
    finally:
        process.terminate()
        process.wait(timeout=COMMAND_BOUND_S)


@pytest.fixture
def endpoint(environment: dict[str, str]) -> Iterator[str]:
    """An endpoint of the test's own; yields its base URL."""
    with running_endpoint(environment) as url:
        yield url
