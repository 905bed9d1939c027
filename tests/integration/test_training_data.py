"""The commands that make training data, as they are mistyped and as they are interrupted."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.conftest import BIN, COMMAND_BOUND_S, ROOT, Command

pytestmark = pytest.mark.integration


ROLLOUT = {
    "responses_create_params": {"input": "Hi"},
    "response": {"model": "m", "output": [{"type": "message", "role": "assistant", "content": "Ho"}]},
    "reward": 1.0,
    "_ng_task_index": 0,
    "_ng_rollout_index": 0,
}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ng_export", "format=sft", "input_jsonl_fpath=none.jsonl", "output_fpath=a.jsonl"], "none.jsonl is missing"),
        (["ng_export", "format=stf", "input_jsonl_fpath=r.jsonl", "output_fpath=a.jsonl"], "did you mean 'sft'?"),
        (["ng_export", "format=rl", "input_jsonl_fpath=r.jsonl", "output_fpath=a.jsonl"], "1 no_token_data"),
        (["ng_export", "format=sft", "inputjsonl_fpath=r.jsonl"], "did you mean 'input_jsonl_fpath'?"),
        (
            ["ng_select", "input_jsonl_fpath=r.jsonl", "where=pas_rate > 0", "output_jsonl_fpath=a.jsonl"],
            "'pass_rate'?",
        ),
        (["ng_profile", "input_jsonl_fpath=."], "is a folder, not a regular file"),
        (["ng_profile", "input_jsonl_fpath=r.jsonl", "html_fpath=r.jsonl"], "it would be overwritten"),
        (["ng_compare", "baseline_jsonl_fpath=r.jsonl", "candidate_jsonl_fpath=e.jsonl"], "no task in common"),
    ],
    ids=["missing", "format", "nothing", "option", "field", "folder", "overwritten", "apart"],
)
def test_a_mistake_ends_with_status_2_and_words_and_leaves_nothing(
    command: Command, project: Path, arguments: list[str], said: str
) -> None:
    (project / "r.jsonl").write_text(json.dumps(ROLLOUT) + "\n")
    (project / "e.jsonl").write_text("")
    done = command(*arguments)
    assert (done.status, "Traceback" in done.err) == (2, False), done.err
    assert said in done.err
    assert sorted(path.name for path in project.iterdir()) == ["e.jsonl", "r.jsonl"]


def test_two_collections_of_the_same_name_are_told_apart_by_their_folders(command: Command, project: Path) -> None:
    for folder, reward in (("old", 0.0), ("new", 1.0)):
        (project / folder).mkdir()
        (project / folder / "r.jsonl").write_text(json.dumps({**ROLLOUT, "reward": reward}) + "\n")
    done = command("ng_compare", "baseline_jsonl_fpath=old/r.jsonl", "candidate_jsonl_fpath=new/r.jsonl")
    assert "new/r.jsonl against old/r.jsonl" in done.out, done.err


def test_the_license_of_a_data_set_reaches_the_export(command: Command, project: Path, free_port: int) -> None:
    weather = ROOT / "resources_servers/example_simple_weather"
    tasks = weather / "data/example.jsonl"
    datasets = f"[{{name: example, type: example, jsonl_fpath: {tasks}, license: CC-BY-NC-4.0}}]"
    collected = command(
        "ng_e2e_collect_rollouts",
        str(weather / "configs/simple_weather.yaml"),
        str(ROOT / "responses_api_models/scripted_model/configs/scripted_model.yaml"),
        f"simple_weather_simple_agent.responses_api_agents.simple_agent.datasets={datasets}",
        "agent_name=simple_weather_simple_agent",
        f"input_jsonl_fpath={tasks}",
        "output_jsonl_fpath=r.jsonl",
        f"head_server.port={free_port}",
    )
    assert collected.status == 0, collected.err
    done = command("ng_export", "format=sft", "input_jsonl_fpath=r.jsonl", "output_fpath=a.jsonl")
    assert "license of the task data: CC-BY-NC-4.0 (noncommercial use only, attribution)" in done.out, done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_an_export_that_is_interrupted_leaves_nothing(
    project: Path, environment: dict[str, str], number: signal.Signals, ending: str
) -> None:
    rows = ({**ROLLOUT, "_ng_task_index": task} for task in range(200_000))
    (project / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ("format=sft", "input_jsonl_fpath=r.jsonl", f"output_fpath=out/a.{ending}", "deduplicate=false")
    process = subprocess.Popen([str(BIN / "ng_export"), *arguments], cwd=project, env=environment)
    until = time.monotonic() + COMMAND_BOUND_S
    while not any(path.stat().st_size for path in (project / "out").glob(".*.new")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(timeout=COMMAND_BOUND_S) == 130
    assert list((project / "out").iterdir()) == []
