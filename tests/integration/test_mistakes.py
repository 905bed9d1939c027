"""Mistakes in what was asked: a clear message, exit status 2, nothing started, nothing written."""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.bounds import HANGS_AFTER_S
from tests.integration.conftest import BIN, ROOT, Command

pytestmark = pytest.mark.integration

WEATHER = "resources_servers/example_simple_weather/configs/simple_weather.yaml"
SCRIPTED = "responses_api_models/scripted_model/configs/scripted_model.yaml"
OPENAI = "responses_api_models/openai_model/configs/openai_model.yaml"
JUDGE = "responses_api_models/openai_model/configs/openai_judge_model.yaml"
MODELS = {"policy_model": SCRIPTED, "judge_model": JUDGE}
ROW = {"responses_create_params": {"input": "What is the weather in Seattle?"}}
AGENT = "agent_name=simple_weather_simple_agent"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A run of the weather example that several tests share: its head's port, and the home it is recorded in."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("shared-home")
    process = subprocess.Popen(
        [str(BIN / "ng_run"), WEATHER, SCRIPTED, f"head_server.port={port}"],
        cwd=tmp_path_factory.mktemp("shared-project"),
        env={"NEMO_GYM_HOME": str(home), "PATH": str(BIN)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "servers are ready" in line:
            break
    threading.Thread(target=process.stdout.read, daemon=True).start()
    yield port, home
    process.terminate()
    process.wait(timeout=HANGS_AFTER_S)


@pytest.fixture
def head_port(running: tuple[int, Path], environment: dict[str, str]) -> int:
    """The port of that run, for commands that find its token because they share its home."""
    port, home = running
    environment["NEMO_GYM_HOME"] = str(home)
    return port


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(None, ["doesn't exist", "tried", "did you mean"], id="a-path-that-is-not-there"),
        pytest.param("a: [1,\nb: 2", ["mine.yaml", "line"], id="yaml-that-does-not-parse"),
        pytest.param(
            "x:\n  responses_api_agents:\n    simple_agent:\n      entrypoint: app.py\n"
            "      resources_server: {type: resources_servers, name: example_simple_wether}\n",
            ["no server named 'example_simple_wether'", "x.responses_api_agents.simple_agent", "did you mean"],
            id="a-reference-to-no-server",
        ),
        pytest.param(
            "policy_base_url: localhost:8000/v1",
            ["policy_base_url is 'localhost:8000/v1'", "mine.yaml, key policy_base_url", "write http://localhost:8000"],
            id="a-url-without-its-scheme",
        ),
        pytest.param(
            "simple_weather_simple_agent: {responses_api_agents: {simple_agent: {num_worker: 2}}}",
            ["unknown setting 'num_worker'", "mine.yaml, key simple_weather_simple_agent.", "did you mean"],
            id="a-misspelt-setting-of-every-server",
        ),
        pytest.param("a: " + "[" * 50_000, ["nested more than 64 levels deep", "mine.yaml:1"], id="a-bottomless-value"),
        pytest.param(
            f"{'long' * 75}: {{resources_servers: {{example_simple_weather: {{entrypoint: app.py, domain: math}}}}}}",
            ["can't be the name of a server", "at most 100 characters"],
            id="a-name-of-300-characters",
        ),
    ],
)
def test_a_mistake_in_the_configuration_is_named_with_place_and_fix(
    command: Command, project: Path, content: str | None, expected: list[str]
) -> None:
    name = "resources_servers/example_simple_weather/configs/simple_wether.yaml"
    if content is not None:
        name = "mine.yaml"
        (project / name).write_text(content)
    before = written(project)
    done = command("ng_run", name, WEATHER, SCRIPTED)
    assert done.status == 2
    for text in expected:
        assert text.lower() in done.err.lower(), done.err
    assert "Traceback" not in done.err
    assert written(project) == before


def test_a_missing_key_is_named_with_where_to_set_it(command: Command, project: Path) -> None:
    done = command("ng_run", WEATHER, OPENAI, "policy_base_url=http://127.0.0.1:9/v1", "policy_model_name=m")
    assert done.status == 2
    assert "policy_api_key" in done.err
    assert "env.yaml" in done.err
    assert written(project) == []


def test_a_misspelt_setting_of_one_component_is_refused_at_start(command: Command, free_port: int) -> None:
    misspelt = "+simple_weather_simple_agent.responses_api_agents.simple_agent.max_step=3"
    done = command("ng_run", WEATHER, SCRIPTED, misspelt, f"head_server.port={free_port}")
    assert done.status == 2, done.err
    assert "unknown setting 'max_step'" in done.err
    assert "did you mean 'max_steps'?" in done.err
    assert "Traceback" not in done.err


def test_a_sandbox_that_this_machine_lacks_is_named_before_anything_starts(
    command: Command, project: Path, environment: dict[str, str]
) -> None:
    environment["PATH"] = str(project)
    done = command("ng_run", WEATHER, SCRIPTED, "+require_sandbox=strict")
    assert done.status == 2
    assert "where: command line, key require_sandbox" in done.err
    assert "install bubblewrap" in done.err
    assert written(project) == []


def test_a_project_runs_from_another_folder_with_its_own_copy_of_a_component(
    command: Command, project: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "their-project/resources_servers"
    shutil.copytree(ROOT / "resources_servers/example_simple_weather", theirs / "example_simple_weather")
    config = theirs / "example_simple_weather/configs/simple_weather.yaml"
    app = theirs / "example_simple_weather/app.py"
    app.write_text("raise SystemExit('their copy was started')\n")
    done = command("ng_run", str(config), SCRIPTED)
    assert "their copy was started" in done.out + done.err


def test_a_port_in_use_is_named_with_its_owner(command: Command, free_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        override = f"example_simple_weather.resources_servers.example_simple_weather.port={port}"
        done = command("ng_run", WEATHER, SCRIPTED, override, f"head_server.port={free_port}")
    assert done.status == 2
    assert f":{port}" in done.err
    assert "in use by pid" in done.err


def test_a_head_port_of_another_run_is_named_with_how_to_stop_it(command: Command, head_port: int) -> None:
    done = command("ng_run", WEATHER, SCRIPTED, f"head_server.port={head_port}")
    assert done.status == 2
    assert "taken by the run" in done.err
    assert f"ng_stop +head_server.port={head_port}" in done.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["agent_name=simple_wether_agent"], "did you mean 'simple_weather_simple_agent'?", id="no-agent"),
        pytest.param(
            ["agent_name=example_simple_weather"], "+agent_name=simple_weather_simple_agent", id="an-environment"
        ),
        pytest.param([AGENT, "input_jsonl_fpath=none.jsonl"], "no such task file: none.jsonl", id="no-input"),
        pytest.param([AGENT, "input_jsonl_fpath=empty.jsonl"], "empty.jsonl holds no task", id="empty-input"),
        pytest.param([AGENT, "output_jsonl_fpath=/proc/none/r.jsonl"], "can't be written", id="no-output-folder"),
        pytest.param([AGENT, "num_repeats=0"], "num_repeats", id="a-number-out-of-range"),
        pytest.param([AGENT, "num_repeat=2"], "did you mean 'num_repeats'?", id="a-misspelt-option"),
    ],
)
def test_a_mistake_in_a_collection_is_reported_before_anything_is_written(
    command: Command, project: Path, head_port: int, arguments: list[str], expected: str
) -> None:
    (project / "tasks.jsonl").write_text(json.dumps(ROW) + "\n")
    (project / "empty.jsonl").write_text("\n")
    before = written(project)
    base = ["input_jsonl_fpath=tasks.jsonl", "output_jsonl_fpath=out/r.jsonl", f"head_server.port={head_port}"]
    given = {argument.split("=")[0] for argument in arguments}
    kept = [argument for argument in base if argument.split("=")[0] not in given]
    done = command("ng_collect_rollouts", *kept, *arguments)
    assert done.status == 2, done.err
    assert expected in done.err
    assert written(project) == before


def test_collecting_without_servers_says_to_start_them(command: Command, free_port: int, project: Path) -> None:
    (project / "tasks.jsonl").write_text(json.dumps(ROW) + "\n")
    done = command(
        "ng_collect_rollouts",
        AGENT,
        "input_jsonl_fpath=tasks.jsonl",
        "output_jsonl_fpath=r.jsonl",
        f"head_server.port={free_port}",
    )
    assert done.status == 2
    assert "no head server answers" in done.err
    assert "ng_run" in done.err


def test_the_client_without_servers_says_to_start_them(command: Command, free_port: int) -> None:
    done = command("python", "-m", "responses_api_agents.simple_agent.client", f"+head_server.port={free_port}")
    assert done.status == 1
    assert "start the servers first" in done.err
    assert "Traceback" not in done.err


def test_rows_that_are_not_tasks_fail_with_their_line_and_the_others_run(
    command: Command, project: Path, head_port: int
) -> None:
    (project / "tasks.jsonl").write_text("\n".join([json.dumps(ROW), "{no json", "{}", "", json.dumps(ROW)]))
    done = command(
        "ng_collect_rollouts",
        AGENT,
        "input_jsonl_fpath=tasks.jsonl",
        "output_jsonl_fpath=r.jsonl",
        f"head_server.port={head_port}",
    )
    assert done.status == 1, done.err
    rows = [json.loads(line) for line in (project / "r.jsonl").read_text().splitlines()]
    failures = [json.loads(line) for line in (project / "r_failures.jsonl").read_text().splitlines()]
    assert sorted(row["_ng_task_index"] for row in rows) == [0, 3]
    assert all(row["reward"] == 1.0 for row in rows)
    assert {(f["_ng_task_index"], f["failure_kind"]) for f in failures} == {(1, "input_invalid"), (2, "input_invalid")}
    assert "line 2" in failures[0]["failure_reason"] + failures[1]["failure_reason"]
    assert all("reward" not in failure for failure in failures)


def test_every_shipped_configuration_loads(command: Command, project: Path) -> None:
    values = {"base_url": "http://127.0.0.1:9/v1", "api_key": "k", "model_name": "m"}
    mine = {f"{role}_{key}": value for role in ("policy", "judge") for key, value in values.items()}
    (project / "env.yaml").write_text(yaml.safe_dump(mine))
    for path in sorted(ROOT.glob("*/*/configs/*.yaml")):
        partners = [] if path.parts[-4] == "resources_servers" else [WEATHER]
        text = path.read_text()
        if "entrypoint:" not in text:  # it adds to the others of its folder
            partners += [str(other) for other in path.parent.glob("*.yaml") if other != path]
            text += "".join(Path(other).read_text() for other in partners)
        defined = set(yaml.safe_load(text))
        partners += [model for name, model in MODELS.items() if name not in defined]
        done = command("ng_run", str(path), *partners, "dry_run=true")
        assert done.status == 0, f"{path}: {done.err}"
