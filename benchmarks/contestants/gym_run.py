"""Ours as a running program: `ng_run` with a home and a head port of its own."""

import contextlib
import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import psutil

from benchmarks.program import BIN, ProgramError, family_of, free_port, home_in, running, stop

OURS = "ours"
AGENT = "simple_weather_simple_agent"
READY_WITHIN_S = 120.0
_CONFIGS = (
    "resources_servers/example_simple_weather/configs/simple_weather.yaml",
    "responses_api_models/openai_model/configs/openai_model.yaml",
)
_READY = b"servers are ready"
_POLL_S = 0.01


class Refused(Exception):
    """`ng_run` ended before it was ready; the text is its own words."""


class RunningServer(TypedDict):
    """What is needed here of a server in the head's list."""

    name: str
    url: str
    pid: int


@dataclass(frozen=True)
class GymRun:
    """A run of ours that is ready. `ready_s` is the time from starting `ng_run` to its word that all is ready."""

    process: subprocess.Popen[bytes]
    head_port: int
    ready_s: float
    home: Path
    servers: tuple[RunningServer, ...]

    @property
    def name(self) -> str:
        """Ours."""
        return OURS

    @property
    def run_url(self) -> str:
        """The agent's `/run`."""
        return next(f"{server['url']}/run" for server in self.servers if server["name"] == AGENT)

    @property
    def headers(self) -> dict[str, str]:
        """What every request to our servers carries."""
        return request_headers(self.home, self.head_port)

    @property
    def health_urls(self) -> dict[str, str]:
        """One for each server."""
        return {server["name"]: f"{server['url']}/health" for server in self.servers}

    def processes(self) -> dict[str, psutil.Process]:
        """`ng_run`, and every process below it by the names of the servers inside."""
        names: dict[int, list[str]] = {}
        for server in self.servers:
            names.setdefault(server["pid"], []).append(server["name"])
        found: dict[str, psutil.Process] = {}
        for process in family_of(self.process.pid):
            is_launcher = process.pid == self.process.pid
            name = "ng_run" if is_launcher else "+".join(names.get(process.pid, [f"process {len(found)}"]))
            found[name] = process
        return found

    def stop(self) -> None:
        """Press Ctrl-C and wait until nothing is left."""
        stop(self.process, signal.SIGINT)


def request_headers(home: Path, head_port: int) -> dict[str, str]:
    """Return the headers that the servers of a run want from anyone: the token of the run whose head has this port."""
    records = home.glob("runs/*/run.json")
    (token,) = (path.with_name("token") for path in records if json.loads(path.read_text())["head_port"] == head_port)
    return {"authorization": f"Bearer {token.read_text()}"}


@contextlib.contextmanager
def gym_run(folder: Path, endpoint: str, *overrides: str) -> Iterator[GymRun]:
    """Run the weather example against an endpoint; raises Refused when `ng_run` will not."""
    port = free_port()
    log_name = f"ng_run-{port}"
    values = [f"policy_base_url={endpoint}/v1", "policy_api_key=none", "policy_model_name=m"]
    values.append(f"head_server.port={port}")
    command = [str(BIN / "ng_run"), f"+config_paths=[{','.join(_CONFIGS)}]", *(f"+{v}" for v in values), *overrides]
    began_at = time.monotonic()
    with running(command, folder, log_name) as process:
        wait_until_ready(process, folder / f"{log_name}.log")
        ready_s, home = time.monotonic() - began_at, home_in(folder)
        run = GymRun(process, port, ready_s, home, _servers(port, home))
        try:
            yield run
        finally:
            run.stop()


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when `ng_run` says that all is ready; raises Refused when it ends, ProgramError when it takes too long."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        has_ended = process.poll() is not None
        said = log.read_bytes()
        if _READY in said:
            return
        if has_ended:
            raise Refused(said.decode(errors="replace").strip()[-2000:])
        time.sleep(_POLL_S)
    raise ProgramError(f"ng_run was not ready within {READY_WITHIN_S:g} s; its output ends: {said[-1000:]!r}")


def _servers(port: int, home: Path) -> tuple[RunningServer, ...]:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/server_instances", headers=request_headers(home, port))
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return tuple(json.load(answer))
