"""The floor as running programs."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.program import free_port, python_module, running, wait_for_port

SEPARATE = "floor, separate"
COLOCATED = "floor, colocated"
_MODULE = "benchmarks.floor.floor_servers"


@dataclass(frozen=True)
class FloorRun:
    """A running floor."""

    name: str
    ports: dict[str, int]
    pids: dict[str, int]

    @property
    def run_url(self) -> str:
        """The agent's `/run`."""
        return f"http://127.0.0.1:{self.ports['agent']}/run"

    @property
    def headers(self) -> dict[str, str]:
        """None: the floor checks no token."""
        return {}

    @property
    def health_urls(self) -> dict[str, str]:
        """One for each server."""
        return {kind: f"http://127.0.0.1:{port}/health" for kind, port in self.ports.items()}

    def processes(self) -> dict[str, psutil.Process]:
        """The servers."""
        return {name: psutil.Process(pid) for name, pid in self.pids.items()}


@contextlib.contextmanager
def separate_floor(folder: Path, endpoint: str, *arguments: str) -> Iterator[FloorRun]:
    """Run the floor's three servers, each a process; `arguments` go to all of them."""
    ports = {kind: free_port() for kind in ("agent", "resources", "model")}
    urls = {kind: f"http://127.0.0.1:{port}" for kind, port in ports.items()}
    peers = ["--resources", urls["resources"], "--model", urls["model"], "--endpoint", endpoint, *arguments]
    pids = {}
    with contextlib.ExitStack() as stack:
        for kind, port in ports.items():
            command = python_module(_MODULE, kind, "--port", str(port), *peers)
            process = stack.enter_context(running(command, folder, f"floor-{kind}"))
            wait_for_port(port, process)
            pids[kind] = process.pid
        yield FloorRun(SEPARATE, ports, pids)


@contextlib.contextmanager
def colocated_floor(folder: Path, endpoint: str, *arguments: str, workers: int = 1) -> Iterator[FloorRun]:
    """Run the floor in one process, or in `workers` equal ones on one port."""
    port = free_port()
    command = python_module(_MODULE, "colocated", "--port", str(port), "--endpoint", endpoint, "--reuse-port")
    pids = {}
    with contextlib.ExitStack() as stack:
        for number in range(workers):
            process = stack.enter_context(running([*command, *arguments], folder, f"floor-colocated-{number}"))
            wait_for_port(port, process)
            pids[f"colocated {number}"] = process.pid
        if workers > 1:
            # The first answers for all while the others still import: only then would they be measured as one.
            _wait_for_listeners(list(pids.values()))
        yield FloorRun(COLOCATED, {"agent": port}, pids)


def _wait_for_listeners(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if all(psutil.Process(pid).net_connections(kind="tcp") for pid in pids):
            return
        time.sleep(0.05)
