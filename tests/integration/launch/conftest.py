"""Tiny servers of the standard library only: they start quickly, and misbehave as a test asks."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from nemo_gym.config.load import load_config
from nemo_gym.config.reading.command_line import parse_command_line
from nemo_gym.launch.launcher import Launcher
from nemo_gym.launch.plan import LaunchOptions
from tests.bounds import HANGS_AFTER_S

TINY = """
import json, os, socket
def serve():
    listener = socket.socket(fileno=json.loads(os.environ["NEMO_GYM_LISTEN_FDS"]).popitem()[1][0])
    os.write(int(os.environ["NEMO_GYM_STATUS_FD"]), b"ready\\n")
    while True:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\nconnection: close\\r\\n\\r\\n{}")
        connection.close()
"""
SERVES = TINY + "serve()\n"
NG_RUN = "from nemo_gym.commands.servers.run import main; main()"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder, which is the current one, with a home of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NEMO_GYM_HOME", str(tmp_path / "home"))
    return folder


@pytest.fixture
def add_server(project: Path) -> Callable[..., Path]:
    """Write a component with this code and a configuration file with one instance of it; return that file."""

    def add(name: str, code: str = SERVES, requirements: str | None = None, settings: str = "") -> Path:
        folder = project / "resources_servers" / name
        folder.mkdir(parents=True)
        (folder / "app.py").write_text(code)
        if requirements is not None:
            (folder / "requirements.txt").write_text(requirements)
        config = project / f"{name}.yaml"
        inner = f"{{entrypoint: app.py, domain: other, {settings}}}"
        config.write_text(f"{name}:\n  resources_servers:\n    {name}: {inner}\n")
        return config

    return add


@pytest.fixture
def new_children() -> Callable[[], list[psutil.Process]]:
    """The processes this test started that still run; servers that other tests share are none of its business."""
    before = {process.pid for process in psutil.Process().children()}

    def running() -> list[psutil.Process]:
        started = [process for process in psutil.Process().children() if process.pid not in before]
        return [process for process in started if process.status() != psutil.STATUS_ZOMBIE]

    return running


class Said(list[str]):
    """Everything a launcher printed, line by line, with the servers' names."""

    def __call__(self, server: str, text: str) -> None:
        self += [f"[{server}] {line}" for line in text.split("\n")]

    async def wait_for(self, text: str, timeout_s: float = HANGS_AFTER_S) -> None:
        async with asyncio.timeout(timeout_s):
            while not any(text in line for line in self):
                await asyncio.sleep(0.02)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def launcher_of(said: Said, free_port: int) -> Callable[..., Launcher]:
    """Make a launcher in this process for configuration files and overrides."""

    def make(*configs: Path, overrides: tuple[str, ...] = (), **options: object) -> Launcher:
        arguments = [*map(str, configs), f"head_server.port={free_port}", *overrides]
        config = load_config(parse_command_line(arguments), skip_dotenv=True)
        return Launcher(config, LaunchOptions.model_validate(options), said)

    return make


class Run:
    """`ng_run` as a process, its output so far, and every process below it that was ever seen."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self.log = log
        with log.open("wb") as out:
            command = [sys.executable, "-c", NG_RUN, *arguments]
            self.process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        self._seen: dict[int, psutil.Process] = {}

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str, timeout_s: float = HANGS_AFTER_S) -> None:
        until = time.monotonic() + timeout_s
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < until, self.output
            time.sleep(0.02)
        self.look()

    def look(self) -> list[psutil.Process]:
        """Remember the processes below the launcher."""
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                self._seen[process.pid] = process
        return list(self._seen.values())

    def signal(self, number: int) -> None:
        """Look once more, and send a signal to the launcher."""
        self.look()
        os.kill(self.process.pid, number)

    def assert_all_gone(self) -> None:
        """Wait for the end of the launcher and of everything below it."""
        self.process.wait(timeout=HANGS_AFTER_S)
        _, alive = psutil.wait_procs(self._seen.values(), timeout=HANGS_AFTER_S)
        assert [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


@pytest.fixture
def ng_run(tmp_path: Path, free_port: int) -> Iterator[Callable[..., Run]]:
    """Start `ng_run`; whatever is left of it when the test is over is killed."""
    runs: list[Run] = []

    def start(*configs: Path, overrides: tuple[str, ...] = ()) -> Run:
        arguments = [*map(str, configs), f"+head_server.port={free_port}", *overrides]
        runs.append(Run(arguments, tmp_path / f"run{len(runs)}.log"))
        return runs[-1]

    yield start
    for run in runs:
        left = run.look()
        with suppress(ProcessLookupError):
            run.process.kill()
        run.process.wait()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
