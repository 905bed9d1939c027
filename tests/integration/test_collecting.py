"""Collecting with a real run: which run it is, a key that is refused, Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.free_port import free_port as a_free_port
from tests.integration.conftest import BIN, ROOT

pytestmark = pytest.mark.integration
CONFIGS = (
    "resources_servers/example_room_booking/configs/room_booking.yaml",
    "responses_api_models/openai_model/configs/openai_model.yaml",
)
ROW = {"responses_create_params": {"input": "Book the blue room."}, "expected_rooms": ["blue"]}
AGENT = "+agent_name=room_booking_simple_agent"


@dataclass(frozen=True)
class Place:
    """A run whose endpoint takes one key, which it does not have; and a folder to collect in."""

    folder: Path
    home: Path
    port: int
    pid: int

    def start(self, rows: list[dict[str, object]], *options: str) -> "subprocess.Popen[str]":
        (self.folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        arguments = (AGENT, "+input_jsonl_fpath=tasks.jsonl", f"+head_server.port={self.port}", *options)
        return subprocess.Popen(
            [str(BIN / "ng_collect_rollouts"), *arguments],
            cwd=self.folder,
            env={**os.environ, "NEMO_GYM_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def collect(self, rows: list[dict[str, object]], *options: str) -> tuple[int, str, str]:
        """Return exit status, standard output and standard error."""
        process = self.start(rows, *options)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def run_at(folder: Path, key: str) -> Iterator[Place]:
    """Start an endpoint that takes `right-key` and answers after 30 s, and a run that has `key`."""
    settings = {"api_key": "right-key", "default_answer": {"message": "no", "latency_s": 30}}
    settings["rules"] = [{"when": {"last_user_matches": "ping"}, "answer": {"message": "pong"}}]
    (folder / "endpoint.yaml").write_text(yaml.safe_dump(settings))
    serve = [sys.executable, "-m", "responses_api_models.scripted_model.serve", "--port", "0"]
    endpoint = subprocess.Popen(
        [*serve, "--config", str(folder / "endpoint.yaml")], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert endpoint.stdout is not None
    url = endpoint.stdout.readline().split()[-1]
    values = {"policy_base_url": f"{url}/v1", "policy_api_key": key, "policy_model_name": "m"}
    (folder / "env.yaml").write_text(yaml.safe_dump(values))
    port, home = a_free_port(), folder / "home"
    run = subprocess.Popen(
        [str(BIN / "ng_run"), *CONFIGS, f"+head_server.port={port}"],
        cwd=folder,
        env={**os.environ, "NEMO_GYM_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    try:
        assert any("servers are ready" in line for line in run.stdout)
        threading.Thread(target=run.stdout.read, daemon=True).start()
        yield Place(folder, home, port, run.pid)
    finally:
        run.terminate()
        run.wait(timeout=15)
        endpoint.terminate()
        endpoint.wait(timeout=10)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from run_at(tmp_path_factory.mktemp("refused"), "wrong-key")


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from run_at(tmp_path_factory.mktemp("slow"), "right-key")


def test_the_run_is_named_and_every_mistake_is_told_before_anything_is_written(refused: Place) -> None:
    row = {"responses_create_params": {"input": "x", "tools": [{"type": "function", "name": "book"}]}}
    status, _, err = refused.collect([row], "+output_jsonl_fpath=first/r.jsonl")
    assert status == 2, err
    assert f"started in {refused.folder} at" in err.splitlines()[0]
    assert f"pid {refused.pid}" in err.splitlines()[0]
    for part in ("the test call to policy_model failed", "answered 401", "policy_api_key"):
        assert part in err
    for part in ("line 1 lacks expected_rooms", "doesn't have: book", "did you mean 'book_room'?"):
        assert part in err
    assert "Traceback" not in err
    assert not (refused.folder / "first").exists()


def test_a_key_that_is_refused_later_ends_a_collection_after_a_few_rollouts(refused: Place) -> None:
    options = ("+output_jsonl_fpath=later/r.jsonl", "+preflight=false", "+num_samples_in_parallel=4")
    status, out, err = refused.collect([ROW] * 200, *options)
    assert status == 1, err
    assert "stopped early: 5 rollouts failed with model_auth at policy_model" in out
    failures = (refused.folder / "later" / "r_failures.jsonl").read_text().splitlines()
    assert 5 <= len(failures) <= 12


def test_ctrl_c_ends_a_collection_within_its_time_and_what_ran_is_left_to_run(slow: Place) -> None:
    process = slow.start([ROW] * 60, "+output_jsonl_fpath=r.jsonl")
    journal = slow.folder / "r_journal.jsonl"
    until = time.monotonic() + 40
    while not journal.exists() or journal.read_text().count("\n") < 60:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)  # an answer of the endpoint takes longer
    assert process.returncode == 130, err
    assert "stopping: running rollouts have 3 s to finish" in err
    assert "Traceback" not in err
    assert re.search(r"not settled +60$", out, re.MULTILINE)
    assert not (slow.folder / "r_failures.jsonl").exists()
