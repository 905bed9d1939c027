"""One run of the same servers, placed in one of the ways there are."""

import contextlib
import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.server_utils import HttpResponse, ServerClient
from nemo_gym.servers.runs.access import RunAccess
from tests.bounds import HANGS_AFTER_S
from tests.chaos.processes import START_BOUND_S, Place, wait_for, wait_until_ready
from tests.free_port import free_port
from tests.run_access import instances_of, run_headers, run_token

PROJECT = Path(__file__).parent / "project"

PLACEMENTS: dict[str, tuple[str, ...]] = {
    "separate": (),
    "colocated": ("+colocate=true",),
    "colocated_workers": ("+colocate=true", "+num_workers=2"),
    "separate_workers": (
        "++placed.resources_servers.placed.num_workers=3",
        "++placed_agent.responses_api_agents.simple_agent.num_workers=2",
    ),
}
WITH_WORKERS = ("colocated_workers", "separate_workers")


@dataclass(frozen=True)
class Placement:
    """A started run."""

    name: str
    folder: Path
    home: Path
    head_port: int
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """Everything the launcher and the servers have printed."""
        return (self.folder / "run.log").read_text()

    def client(self) -> ServerClient:
        """Return a client from outside."""
        head = BaseServerConfig(host="127.0.0.1", port=self.head_port)
        return ServerClient.load_from_global_config(head, RunAccess(run_token(self.home)))

    @property
    def headers(self) -> dict[str, str]:
        """What a raw request carries."""
        return run_headers(self.home)

    def instances(self) -> list[dict[str, Any]]:
        """Return what the head says."""
        return instances_of(self.head_port, self.home)

    def pids(self, instance: str = "placed") -> list[int]:
        """Return the process of every worker of an instance, in order."""
        return [state["pid"] for state in self.instances() if state["name"] == instance]

    def record(self, what: str, whom: str = "") -> list[dict[str, Any]]:
        """Return what the environment wrote down of one sort, and about `whom`."""
        path = self.folder / "record.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if entry["what"] == what and (not whom or entry["whom"] == whom)]

    def wait_for_record(self, what: str, whom: str, bound_s: float = HANGS_AFTER_S) -> dict[str, Any]:
        """Wait until the environment has written this down."""
        wait_for(lambda: self.record(what, whom), bound_s, f"{what} {whom}")
        return self.record(what, whom)[0]

    def wait_until_ready(self) -> None:
        """Wait until every process is ready (again)."""
        wait_for(lambda: {state["state"] for state in self.instances()} == {"ready"}, START_BOUND_S, "ready")


@contextlib.contextmanager
def placed(name: str, folder: Path) -> Iterator[Placement]:
    """Start a run in one placement; Ctrl-C at the end."""
    home, port, log = folder / "home", free_port(), folder / "run.log"
    for kind in ("resources_servers", "responses_api_models"):
        (folder / kind).symlink_to(PROJECT / kind)
    arguments = [str(PROJECT / "placed.yaml"), f"head_server.port={port}", f"+record_path={folder / 'record.jsonl'}"]
    process = Place(folder, home).start("ng_run", *arguments, *PLACEMENTS[name], log=log)
    try:
        wait_until_ready(process, log)
        yield Placement(name, folder, home, port, process)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a run as Ctrl-C does."""
    process.terminate()
    process.wait(timeout=HANGS_AFTER_S)


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """Return one scripted step of the policy: a tool call."""
    return {"call": {"name": name, "arguments": arguments}}


def note(text: str, **more: Any) -> dict[str, Any]:
    """Return one scripted step: a note."""
    return call("note", entry={"text": text}, **more)


def row(*steps: dict[str, Any], **verifier: Any) -> dict[str, Any]:
    """Return a task row whose policy takes these steps and then says that it is done."""
    script = json.dumps([*steps, {"message": "Done."}])
    return {"responses_create_params": {"input": "Do it.", "metadata": {"script": script}}, **verifier}


async def results(answer: HttpResponse) -> list[Any]:
    """Return the tool results of a rollout, decoded, in order."""
    assert answer.ok, await answer.text()
    outputs = defaultdict(list)
    for item in (await answer.json())["response"]["output"]:
        outputs[item["type"]].append(item)
    return [json.loads(item["output"]) for item in outputs["function_call_output"]]
