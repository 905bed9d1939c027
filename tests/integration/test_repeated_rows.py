"""A set prepared with `num_repeats`, collected once: its equal rows are one task for whoever reads the result."""

import asyncio
import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from nemo_gym.viewer.library import Library
from nemo_gym.viewer.serving.app import viewer_app
from tests.integration.conftest import ROOT, Command
from tests.integration.data.conftest import SOURCE, configure, task, write_jsonl

pytestmark = pytest.mark.integration

MODEL = str(ROOT / "responses_api_models/scripted_model/configs/scripted_model.yaml")
TASKS, REPEATS = 3, 4


def test_a_prepared_set_that_is_collected_once_has_groups_in_metrics_and_viewer(
    command: Command, project: Path, free_port: int
) -> None:
    write_jsonl(project / "data/cities.jsonl", [task(n) for n in range(TASKS)])
    dataset = f"name: cities, type: train, jsonl_fpath: data/cities.jsonl, num_repeats: {REPEATS}, {SOURCE}"
    configure(project, dataset)
    done = command("ng_prepare_data", "weather.yaml", "+mode=train_preparation", "+output_dirpath=out")
    assert done.status == 0, done.err
    arguments = ("input_jsonl_fpath=out/train.jsonl", "output_jsonl_fpath=r.jsonl", f"head_server.port={free_port}")
    done = command("ng_e2e_collect_rollouts", "weather.yaml", MODEL, *arguments)
    assert done.status == 0, done.err
    metrics = json.loads((project / "r_metrics.json").read_text())
    assert metrics["expected"] == metrics["scored"] == TASKS * REPEATS
    assert list(metrics["pass@k"]) == ["1", "2", "4"]
    assert (metrics["per_task"]["task_index"], metrics["per_task"]["n"]) == ([0, 4, 8], [REPEATS] * TASKS)
    assert "pass@4" in done.out
    with TestClient(viewer_app(Library(project / "r.jsonl"), asyncio.Event())) as viewer:
        overview = viewer.get("/api/overview?c=r.jsonl").json()
        assert overview["pass_at_k"] == metrics["pass@k"]
        assert (overview["identity"]["tasks"], overview["identity"]["repeats"]) == (TASKS, REPEATS)
        page = viewer.get("/api/task?c=r.jsonl&t=6").json()
    assert (page["task"], page["rows"], page["before"], page["after"]) == (4, REPEATS, 0, 8)
    assert [member["rollout"]["key"] for member in page["group"]] == ["4-0", "5-0", "6-0", "7-0"]
    assert [member["rollout"]["repeat"] for member in page["group"]] == list(range(REPEATS))
