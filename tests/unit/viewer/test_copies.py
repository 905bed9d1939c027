"""What is copied runs as it is: the curl command reaches the agent, or says what it lacks."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.servers.runs.record import started_at
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.rollout.copies import copies_of
from tests.bounds import HANGS_AFTER_S
from tests.made_collections import write_collection


class HeadAndAgent(BaseHTTPRequestHandler):
    """Says where the agent is, which is here, and keeps what it is asked."""

    asked: list[tuple[str, str | None, Any]]

    def do_GET(self) -> None:
        url = f"http://127.0.0.1:{self.server.server_address[1]}"
        agent = {"name": "room_agent", "kind": "responses_api_agents", "implementation": "simple_agent", "url": url}
        more = {"host": "127.0.0.1", "port": self.server.server_address[1], "pid": None, "state": "ready"}
        self._answer([agent | more])

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((self.path, self.headers["authorization"], body))
        self._answer({"reward": 1.0})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEMO_GYM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NEMO_GYM_RUN_TOKEN", raising=False)
    return tmp_path / "home"


@pytest.fixture
def run(home: Path) -> Iterator[list[tuple[str, str | None, Any]]]:
    """A run on record whose launcher is this process; what its agent is asked."""
    HeadAndAgent.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), HeadAndAgent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        folder = home / "runs" / "a run"
        folder.mkdir(parents=True)
        (folder / "token").write_text("secret-token")
        pid = os.getpid()
        record = {"run_id": "a run", "pid": pid, "pid_created_at": started_at(pid), "head_host": "127.0.0.1"}
        more = {"head_port": server.server_address[1], "folder": "/", "started_at": 0.0, "servers": ["room_agent"]}
        (folder / "run.json").write_text(json.dumps({**record, **more, "stop_timeout_s": 5.0, "is_command": True}))
        yield HeadAndAgent.asked
        server.shutdown()


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Follower:
    follower = Follower(write_collection(tmp_path_factory.mktemp("c") / "rollouts.jsonl", tasks=3).rollouts)
    follower.catch_up()
    return follower


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=HANGS_AFTER_S)


def test_the_curl_command_of_a_running_agent_reaches_it_with_token_and_task(
    follower: Follower, run: list[tuple[str, str | None, Any]]
) -> None:
    copies = copies_of(follower, follower.table[0])
    assert "secret-token" not in copies.curl, "a token in a pasted text is a token in a chat"
    assert json.loads(shell(copies.curl).stdout) == {"reward": 1.0}
    assert run == [("/run", "Bearer secret-token", json.loads(copies.task_row))]


@pytest.mark.usefixtures("home")
def test_the_curl_command_of_an_agent_that_does_not_run_says_what_to_set(follower: Follower) -> None:
    done = shell(copies_of(follower, follower.table[0]).curl)
    assert done.returncode != 0
    assert "AGENT_URL: set it to the address of room_agent, as ng_status shows it" in done.stderr


@pytest.mark.usefixtures("home")
def test_no_name_of_an_agent_is_run_by_the_shell(tmp_path: Path) -> None:
    paths = write_collection(tmp_path / "rollouts.jsonl", tasks=1)
    for path in (paths.rollouts, paths.materialized_inputs):
        path.write_bytes(path.read_bytes().replace(b"room_agent", b"$(touch owned)"))
    follower = Follower(paths.rollouts)
    follower.catch_up()
    shell(f"cd {tmp_path}; {copies_of(follower, follower.table[0]).curl}")
    assert not (tmp_path / "owned").exists()
