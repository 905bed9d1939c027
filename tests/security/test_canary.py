"""A canary among the keys of a run that goes wrong in every way: where the run leaves anything, the canary is not."""

import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.free_port import free_port
from tests.security.echo_endpoint import echo_endpoint

pytestmark = pytest.mark.integration

BIN = Path(sys.executable).parent
PROJECT = Path(__file__).parent / "project"
COMMAND_BOUND_S = 60.0
CANARY = "sk-canary-7d0c81e4/b+a"
PIECES = [CANARY, "canary-7d0c81e4", quote(CANARY, safe=""), *(
    base64.b64encode(text.encode()).decode().rstrip("=") for text in (CANARY, f"user:{CANARY}")
)]  # fmt: skip
POLICY = [{"how": how} for how in ("raise", "refuse", "connect", "log", "print", "background")]
POLICY += [{"status": status} for status in ("401", "400", "403", "404", "429", "500", "503")] + [{"odd": "1"}]
VERDICTS = ["good", "raise", "reject", "judge", "hang"]
BAD_ROWS = ['{"responses_create_params": ', '{"responses_create_params": 3}', "[]"]
TASKS = ("+agent_name=leaky_agent", "+input_jsonl_fpath=tasks.jsonl", "+max_attempts=1")
ALMOST = "almost: {resource_servers: {leaky: {entrypoint: app.py, my_secret: '${canary}', port: '${canary}'}}}\n"
WRONG_TYPE = "policy_model: {responses_api_models: {openai_model: {openai_api_key: [{'a': '${canary}'}]}}}\n"


@dataclass
class Scene:
    """A folder to work in, a home, everything that was printed or answered there, and what the servers are given."""

    folder: Path
    home: Path
    head_port: int
    said: dict[str, str] = field(default_factory=dict)
    environments: dict[str, str] = field(default_factory=dict)
    configurations: dict[str, str] = field(default_factory=dict)

    def begin(self, command: str, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command."""
        return subprocess.Popen(
            [str(BIN / command), f"head_server.port={self.head_port}", *arguments],
            cwd=self.folder,
            env={**os.environ, "NEMO_GYM_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self, name: str, process: "subprocess.Popen[str]") -> int:
        """Wait for a command, keep what it printed under a name, return its status."""
        self.said[name] = process.communicate(timeout=COMMAND_BOUND_S)[0]
        return process.returncode

    def run(self, command: str, *arguments: str) -> int:
        """Run a command to its end."""
        return self.end(f"{command} {len(self.said)}", self.begin(command, *arguments))

    def ask(self, method: str, url: str, body: Any = None) -> Any:
        """Send a request with the run's token, keep the answer, return it decoded."""
        headers = {"content-type": "application/json"}
        for file in self.home.glob("runs/*/token"):
            headers["authorization"] = f"Bearer {file.read_text().strip()}"
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, data, headers, method=method), timeout=20
            ) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            text = f"{error.read().decode()} {error.headers}"
            self.said[f"{method} {url} {body}"] = text
            return None
        self.said[f"{method} {url} {body}"] = text
        return json.loads(text) if text.startswith(("{", "[", '"')) else None


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The whole story, told once."""
    folder = tmp_path_factory.mktemp("canary") / "work"
    folder.mkdir()
    (folder / "resources_servers").symlink_to(PROJECT / "resources_servers")
    (folder / "almost.yaml").write_text(ALMOST)
    (folder / "wrong_type.yaml").write_text(WRONG_TYPE)
    scene = Scene(folder, folder.parent / "home", free_port())
    with echo_endpoint() as address, _command_lines(scene):
        (folder / "env.yaml").write_text(
            f"canary: {CANARY}\npolicy_api_key: ${{canary}}\npolicy_model_name: policy\n"
            f"policy_base_url: http://{address}/v1\nsearch_host: {address}\n"
        )
        _play(scene)
    return scene


def _play(scene: Scene) -> None:
    leaky = str(PROJECT / "leaky.yaml")
    assert scene.run("ng_run", leaky, "+detach=true") == 0, scene.said
    try:
        asked = threading.Thread(target=_ask_every_server, args=(scene,))
        asked.start()
        _collect(scene)
        asked.join()
        assert scene.run("ng_status") == 0
        assert scene.run("ng_dump_config", leaky) == 0
    finally:
        assert scene.run("ng_stop") == 0
    dies = ("leaky.resources_servers.leaky.dies=true", f"head_server.port={free_port()}")
    starts = {
        "dies": scene.begin("ng_e2e_collect_rollouts", leaky, *dies, *TASKS, "+output_jsonl_fpath=e2e/r.jsonl"),
        "wrong_type": scene.begin("ng_run", leaky, "wrong_type.yaml"),
    }
    assert scene.end("almost", scene.begin("ng_run", leaky, "almost.yaml")) == 2
    statuses = {name: scene.end(name, process) for name, process in starts.items()}
    assert statuses == {"dies": 1, "wrong_type": 2}, scene.said


def _collect(scene: Scene) -> None:
    rows = [{"responses_create_params": {"input": "hi", "metadata": said}} for said in POLICY]
    rows += [{"responses_create_params": {"input": "hi"}, "verdict": verdict} for verdict in VERDICTS]
    lines = [*map(json.dumps, rows), *BAD_ROWS]
    (scene.folder / "tasks.jsonl").write_text("".join(f"{line}\n" for line in lines))
    assert scene.run("ng_collect_rollouts", *TASKS, "+output_jsonl_fpath=out/r.jsonl", "+show=20") == 1, scene.said
    again = ("+input_jsonl_fpath=out/r.jsonl", "+output_jsonl_fpath=again/r.jsonl", "+max_attempts=1")
    assert scene.run("ng_reverify", *again) in (0, 1), scene.said


def _ask_every_server(scene: Scene) -> None:
    head = f"http://127.0.0.1:{scene.head_port}"
    for path in ("/global_config_dict_yaml", "/openapi.json", "/health", "/nowhere"):
        scene.ask("GET", head + path)
    instances = scene.ask("GET", f"{head}/server_instances")
    for instance in instances:
        environment = Path(f"/proc/{instance['pid']}/environ").read_text()
        scene.environments[instance["name"]] = environment
        variables = dict(line.split("=", 1) for line in environment.split("\0") if "=" in line)
        scene.configurations[instance["name"]] = Path(variables["NEMO_GYM_CONFIG_FILE"]).read_text()
    urls = {instance["name"]: instance["url"] for instance in instances}
    for url in urls.values():
        for path in ("/health", "/", "/openapi.json", "/tools", "/docs", "/nowhere"):
            scene.ask("GET", url + path)
    for said in POLICY:
        scene.ask("POST", f"{urls['leaky']}/leak", said)
        scene.ask("POST", f"{urls['policy_model']}/v1/responses", {"input": "hi", "metadata": said})
        scene.ask("POST", f"{urls['leaky_agent']}/v1/responses", {"input": "hi", "metadata": said})
    response = {"id": "r", "created_at": 1, "model": "m", "output": []}
    for verdict in VERDICTS:
        row = {"responses_create_params": {"input": "hi"}, "verdict": verdict, "response": response}
        scene.ask("POST", f"{urls['leaky']}/verify", row)
        scene.ask("POST", f"{urls['leaky_agent']}/run", row)


@contextlib.contextmanager
def _command_lines(scene: Scene) -> Iterator[None]:
    """Look at all command lines of the machine, again and again."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    line = path.read_bytes().decode(errors="replace")
                    if any(piece in line for piece in PIECES) and "pytest" not in line:
                        scene.said[f"command line {path}"] = line

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _found(text: str) -> list[str]:
    return [text[max(0, text.find(piece) - 200) : text.find(piece) + 60] for piece in PIECES if piece in text]


def test_the_canary_is_in_nothing_that_was_printed_or_answered(scene: Scene) -> None:
    assert len(scene.said) > 60
    assert {name: _found(text) for name, text in scene.said.items() if _found(text)} == {}


def test_the_canary_is_in_no_file_but_the_one_it_was_written_to(scene: Scene) -> None:
    files = [path for path in scene.folder.parent.rglob("*") if path.is_file() and path.name != "env.yaml"]
    texts = {path: path.read_bytes().decode(errors="replace") for path in files}
    assert {"r.jsonl", "r_failures.jsonl", "r_journal.jsonl", "r_manifest.json", "leaky.log"} <= {p.name for p in files}
    assert {path: _found(text) for path, text in texts.items() if _found(text)} == {}


def test_the_search_for_the_canary_saw_everything_else(scene: Scene) -> None:
    failures = [json.loads(line) for line in (scene.folder / "out/r_failures.jsonl").read_text().splitlines()]
    kinds = {failure["failure_kind"] for failure in failures}
    assert {"model_auth", "model_bad_request", "model_rate_limited", "model_unavailable", "model_bad_output",
            "verifier_error", "verifier_timeout", "judge_failed", "input_invalid"} <= kinds  # fmt: skip
    rows = [json.loads(line) for line in (scene.folder / "out/r.jsonl").read_text().splitlines()]
    assert "tool_error" in {row.get("failure_kind") for row in rows}
    assert "wrong key: Bearer ****" in json.dumps(failures)
    logs = "".join(path.read_text() for path in scene.home.glob("runs/*/logs/leaky.log"))
    assert "RuntimeError: refused: ****" in logs
    assert "cannot log in with ****" in logs + scene.said["dies"]
    assert "openai_api_key" in scene.said["wrong_type"]
    assert "resource_servers" in scene.said["almost"]


def test_a_server_process_has_the_keys_it_needs_and_no_other(scene: Scene) -> None:
    assert not any(map(_found, scene.environments.values()))
    has_key = {name: bool(_found(configuration)) for name, configuration in scene.configurations.items()}
    assert has_key == {"leaky": True, "leaky_agent": False, "policy_model": True}
