"""The commands that make training data, as their pages show them and as they are mistyped."""

import json
from pathlib import Path

import pytest

from tests.integration.conftest import Command
from tests.training.tutorial import run_commands

pytestmark = pytest.mark.integration


def test_the_pages_about_training_data_work_as_they_are_written(project: Path, environment: dict[str, str]) -> None:
    said = run_commands("offline-training.md", project, environment)
    assert "5 of 5 tasks: pass_rate > 0.1 and pass_rate < 0.9" in said
    assert "5 rows from 5 of 20 rollouts, 15 left out" in said
    said = run_commands("exporting.md", project, environment)
    assert "20 rows from 20 of 20 rollouts, 0 left out" in said
    made = {path.name for path in (project / "results/offline").iterdir()}
    assert {
        "profile.html",
        "profile.md",
        "comparison.json",
        "sft.parquet",
        "rl.parquet",
        "rl.parquet.manifest.json",
    } <= made
    assert not [name for name in made if name.startswith(".") and name.endswith(".new")]


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
        (["ng_export", "format=stf", "input_jsonl_fpath=r.jsonl", "output_fpath=a.jsonl"], "'sft', 'preference'"),
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
