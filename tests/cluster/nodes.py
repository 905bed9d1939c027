"""A Ray cluster of several nodes on this machine, and runs that join it, as their users would start them."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.bounds import HANGS_AFTER_S
from tests.cluster.networks import Network

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
GCS_PORT = 6399
_STORE_BYTES = 100_000_000


class Nodes:
    """A cluster: the first node is its head.

    Args:
        network: Where the nodes live.
        home: Folder of runs and of what is sent to nodes.
        num_nodes: At least 1.
        num_cpus: Of each, as Ray counts them.
        port: Of the head of the cluster.
    """

    def __init__(self, network: Network, home: Path, num_nodes: int, num_cpus: int = 3, port: int = GCS_PORT) -> None:
        self.network = network
        self.home = home
        self.num_nodes = num_nodes
        self._num_cpus = num_cpus
        self._port = port
        self._sessions = Path(tempfile.mkdtemp(prefix="ngr"))  # short, since sockets are in it
        self._raylets: dict[int, subprocess.Popen[bytes]] = {}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "NEMO_GYM_"))},
            "NEMO_GYM_HOME": str(home),
            "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",  # or a token that this user has from elsewhere would have to be on every node
        }

    @property
    def address(self) -> str:
        """Address of the cluster."""
        return f"{self.network.address(1)}:{self._port}"

    def start_node(self, node: int, *options: str, environment: Mapping[str, str] | None = None) -> None:
        """Start a node, and return when it takes part."""
        self._launch(node, options, environment or {})
        self._wait_for(node)

    def start_two(self) -> None:
        """Start both of two nodes, the second while the first still starts."""
        self._launch(1, (), {})
        host, port = self.address.split(":")
        wait_until(lambda: _listens(host, int(port)), "the head of the cluster listens", 2 * HANGS_AFTER_S)
        self._launch(2, (), {})
        for node in (1, 2):
            self._wait_for(node)

    def _launch(self, node: int, options: Sequence[str], environment: Mapping[str, str]) -> None:
        where = (
            ["--head", f"--port={self._port}", "--include-dashboard=false", f"--temp-dir={self._sessions}"]
            if node == 1
            else [f"--address={self.address}"]
        )
        command = [
            str(BIN / "ray"),
            "start",
            "--block",
            *where,
            f"--node-ip-address={self.network.address(node)}",
            f"--num-cpus={self._num_cpus}",
            f"--object-store-memory={_STORE_BYTES}",
            *options,
        ]
        with self._log(node).open("wb") as output:
            self._raylets[node] = subprocess.Popen(
                self.network.inside(node, command),
                env={**self.environment, **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _wait_for(self, node: int) -> None:
        log = self._log(node)
        wait_until(
            lambda: b"Ray runtime started" in log.read_bytes(), f"node {node} runs; see {log}", 2 * HANGS_AFTER_S
        )

    def _log(self, node: int) -> Path:
        return self.home / f"node{node}.log"

    def kill_node(self, node: int) -> None:
        """End everything of a node at once, as a power cut would."""
        raylet = self._raylets.pop(node)
        children = psutil.Process(raylet.pid).children(recursive=True) if raylet.poll() is None else []
        for pid in {*self.network.processes(node), raylet.pid, *(child.pid for child in children)}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        raylet.wait(HANGS_AFTER_S)

    def close(self) -> None:
        """End all nodes."""
        for node in reversed(list(self._raylets)):
            self.kill_node(node)
        self.network.close()
        shutil.rmtree(self._sessions, ignore_errors=True)

    def start(self, *command: str, folder: Path, log: Path, node: int = 1) -> "subprocess.Popen[bytes]":
        """Start a command on a node, its output in a file."""
        with log.open("wb") as output:
            return subprocess.Popen(
                self._on_node(node, command),
                cwd=folder,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def result_of(self, *command: str, folder: Path, node: int = 1) -> "subprocess.CompletedProcess[str]":
        """Run a command on a node to its end."""
        return subprocess.run(
            self._on_node(node, command),
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=4 * HANGS_AFTER_S,
            check=False,
        )

    def _on_node(self, node: int, command: Sequence[str]) -> list[str]:
        return self.network.inside(node, [str(BIN / command[0]), *command[1:]])


class ClusterRun:
    """A run of servers that joined the cluster."""

    def __init__(self, nodes: Nodes, process: "subprocess.Popen[bytes]", folder: Path, log: Path) -> None:
        self.nodes = nodes
        self.process = process
        self.folder = folder
        self.log = log

    def instances(self) -> list[dict[str, Any]]:
        """Return what its head says of every server."""
        script = (
            "import json;from nemo_gym.server_utils import ServerClient;"
            "print(json.dumps([s.model_dump() for s in ServerClient.load_from_global_config().server_instances()]))"
        )
        done = self.nodes.result_of("python", "-c", script, folder=self.folder)
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        return found

    def collect_command(self, tasks: Path, agent: str, *options: str) -> list[str]:
        """Return the command that collects into the folder of the run."""
        return [
            "ng_collect_rollouts",
            f"+agent_name={agent}",
            f"+input_jsonl_fpath={tasks}",
            f"+output_jsonl_fpath={self.folder / 'rollouts.jsonl'}",
            *options,
        ]

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of what was collected."""
        found: dict[str, Any] = json.loads((self.folder / "rollouts_metrics.json").read_text())
        return found

    def rows(self) -> list[dict[str, Any]]:
        """Return the rollouts that were collected."""
        return [json.loads(line) for line in (self.folder / "rollouts.jsonl").read_text().splitlines()]


@contextlib.contextmanager
def run_on(nodes: Nodes, folder: Path, *arguments: str) -> Iterator[ClusterRun]:
    """Start a run from node 1, give it when all its servers are ready, and stop it."""
    log = folder / "run.log"
    process = nodes.start("ng_run", *arguments, f"+ray_head_node_address={nodes.address}", folder=folder, log=log)
    try:
        wait_until(
            lambda: b"servers are ready" in log.read_bytes() or process.poll() is not None,
            f"the run is ready; see {log}",
            2 * HANGS_AFTER_S,
        )
        assert process.poll() is None, log.read_text()
        yield ClusterRun(nodes, process, folder, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(HANGS_AFTER_S)


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(HANGS_AFTER_S)
        return probe.connect_ex((host, port)) == 0


def server_processes(home: Path) -> list[int]:
    """Return the server processes of runs with this home, on whatever node of this machine."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_server = "nemo_gym.launch.processes.child" in process.cmdline()
            if is_server and process.environ().get("NEMO_GYM_HOME") == str(home):
                found.append(process.pid)
    return found


def wait_until(is_so: Callable[[], bool], what: str, within_s: float = HANGS_AFTER_S) -> None:
    """Return as soon as it is so; fail when it isn't within the bound."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.1)
