"""The real processes of a case: a run, an endpoint, a collector."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bounds import HANGS_AFTER_S
from tests.free_port import free_port
from tests.run_access import instances_of

ROOT = Path(__file__).parents[2]
PROJECT = Path(__file__).parent / "project"
BIN = Path(sys.executable).parent
START_BOUND_S = COLLECT_BOUND_S = HANGS_AFTER_S


@dataclass(frozen=True)
class Place:
    """Where a case works: a folder that sees the chaotic component, and a home of its own."""

    folder: Path
    home: Path

    @classmethod
    def make(cls, folder: Path, project: Path = PROJECT) -> "Place":
        """Make both inside `folder`; the component is that of `project`."""
        place = cls(folder / "work", folder / "home")
        place.folder.mkdir()
        (place.folder / "resources_servers").symlink_to(project / "resources_servers")
        return place

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process of the case."""
        return {**os.environ, "NEMO_GYM_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}

    def start(
        self, *arguments: str, log: Path, prefix: Sequence[str] = (), **variables: str
    ) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own, with both outputs in one log and more variables around it."""
        command = [*prefix, str(BIN / arguments[0]), *arguments[1:]]
        with log.open("ab") as out:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env={**self.environment, **variables},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )


@dataclass
class Endpoint:
    """The scripted model as an OpenAI-compatible endpoint, with its counters."""

    url: str
    process: subprocess.Popen[str]

    def set_faults(self, *faults: dict[str, Any]) -> None:
        """Put these faults in force."""
        self._call("PUT", "/script/faults", list(faults))

    def reset(self) -> None:
        """Count from 0, without faults."""
        self._call("POST", "/script/reset", {})
        self.set_faults()

    def stats(self) -> dict[str, Any]:
        """Return the counters."""
        stats: dict[str, Any] = self._call("GET", "/script/stats")
        return stats

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")


@dataclass
class Run:
    """A started run."""

    place: Place
    head_port: int
    process: subprocess.Popen[bytes]
    log: Path

    def instances(self) -> dict[str, dict[str, Any]]:
        """Return what the head says of every server, by name."""
        return {instance["name"]: instance for instance in instances_of(self.head_port, self.place.home)}

    def ports(self) -> list[int]:
        """Return every port this run listens on."""
        return [self.head_port, *(instance["port"] for instance in self.instances().values())]

    def kill(self, name: str) -> None:
        """SIGKILL one server."""
        os.kill(self.instances()[name]["pid"], signal.SIGKILL)

    def wait_until_ready(self) -> None:
        """Wait until every server is ready (again)."""
        wait_for(lambda: all(i["state"] == "ready" for i in self.instances().values()), START_BOUND_S, "ready again")

    def stop(self) -> None:
        """Ctrl-C, and wait for the end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=HANGS_AFTER_S)


@dataclass
class Collector:
    """How to collect into one output; every start is a new process."""

    place: Place
    head_port: int
    tasks: Path
    output: Path
    options: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    command: str = "ng_collect_rollouts"

    @property
    def log(self) -> Path:
        """Everything the starts have printed."""
        return self.tasks.with_suffix(".log")

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """Start it."""
        arguments = [
            f"head_server.port={self.head_port}",
            f"+input_jsonl_fpath={self.tasks}",
            f"+output_jsonl_fpath={self.output}",
            *self.options,
            *more,
        ]
        self.output.parent.mkdir(exist_ok=True)
        return self.place.start(self.command, *arguments, log=self.log, prefix=self.prefix)

    def run(self, *more: str, bound_s: float = COLLECT_BOUND_S) -> int:
        """Run it to its end, which must come by itself within the bound; return its exit status."""
        process = self.start(*more)
        try:
            return process.wait(timeout=bound_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def said(self) -> str:
        """Return what it has printed so far."""
        return self.log.read_text()

    def wait_for_rows(self, count: int) -> None:
        """Wait until the output has so many rows."""
        wait_for(
            lambda: self.output.exists() and self.output.read_bytes().count(b"\n") >= count,
            HANGS_AFTER_S,
            f"{count} rows",
        )


@contextlib.contextmanager
def endpoint(place: Place, *more: str) -> Iterator[Endpoint]:
    """A running endpoint."""
    module = "responses_api_models.scripted_model.serve"
    config = ["--port", "0", "--config", str(PROJECT / "policy.yaml"), *more]
    with subprocess.Popen(
        [sys.executable, "-m", module, *config], cwd=ROOT, env=place.environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on "), line
        try:
            yield Endpoint(line.split()[-1], process)
        finally:
            process.terminate()


@contextlib.contextmanager
def run(
    place: Place, policy_url: str, *more: str, prefix: Sequence[str] = (), project: Path = PROJECT
) -> Iterator[Run]:
    """A started run of the chaotic environment; stopped at the end."""
    port, log = free_port(), place.folder / "run.log"
    process = place.start("ng_run", *run_arguments(policy_url, port, project), *more, log=log, prefix=prefix)
    started = Run(place, port, process, log)
    try:
        wait_until_ready(process, log)
        yield started
    finally:
        started.stop()


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until `ng_run` says that its servers are ready; fail with its log when it ends, or takes too long."""
    ready = b" servers are ready after "
    wait_for(lambda: ready in log.read_bytes() or process.poll() is not None, START_BOUND_S, "ready")
    assert process.poll() is None, log.read_text()


def run_arguments(policy_url: str, head_port: int, project: Path = PROJECT) -> list[str]:
    """Return the arguments of a run of the chaotic environment, as it is in the folder `project`."""
    return [
        str(project / "chaotic.yaml"),
        f"policy_base_url={policy_url}/v1",
        "policy_api_key=key",
        "policy_model_name=policy",
        f"head_server.port={head_port}",
    ]


def wait_for(condition: Any, bound_s: float, what: str) -> None:
    """Wait until a condition holds; fail when it does not within the bound."""
    end = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < end, f"not within {bound_s:g} s: {what}"
        time.sleep(0.02)


def write_tasks(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write a task file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def task(number: int, script: list[dict[str, Any]] | None = None, **verifier: Any) -> dict[str, Any]:
    """Return one task row; the endpoint counts its requests under the key `task-<number>`."""
    metadata = {"task_key": f"task-{number}"}
    if script is not None:
        metadata["script"] = json.dumps(script)
    return {"responses_create_params": {"input": f"Task {number}.", "metadata": metadata}, **verifier}
