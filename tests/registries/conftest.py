"""A real MLflow server with its SQLite store on loopback; `make test-registries` installs what it needs."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.free_port import free_port

BIN = Path(sys.executable).parent
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
START_BOUND_S = 280.0
COMMAND_BOUND_S = 240.0


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the server; yields its address."""
    pytest.importorskip("mlflow.server", reason="make test-registries installs the MLflow server")
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = [str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, *stores],
            cwd=folder,
            env={**os.environ, **QUIET},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/health", server, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=START_BOUND_S)


def _wait_until_it_answers(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + START_BOUND_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.2)


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    status: int
    out: str
    err: str


@dataclass
class Project:
    """A folder with an env.yaml that names the registry, and commands run in it."""

    folder: Path
    environment: dict[str, str]

    def run(self, *words: str, answer: str = "") -> Finished:
        """Run a command to its end; `answer` is what the person types."""
        done = subprocess.run(
            [str(BIN / words[0]), *words[1:]],
            cwd=self.folder,
            env=self.environment,
            input=answer,
            capture_output=True,
            text=True,
            timeout=COMMAND_BOUND_S,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def use_registry(self, uri: str) -> None:
        """Write env.yaml."""
        (self.folder / "env.yaml").write_text(f"mlflow_tracking_uri: {uri}\nmlflow_tracking_token: {TOKEN}\n")


TOKEN = "glpat-token-of-the-test-registry-0123456789"


@pytest.fixture
def project(tmp_path: Path, mlflow_uri: str) -> Project:
    """A project that uses the server."""
    folder = tmp_path / "project"
    folder.mkdir()
    made = Project(folder, {**os.environ, "NEMO_GYM_HOME": str(tmp_path / "home")})
    made.use_registry(mlflow_uri)
    return made
