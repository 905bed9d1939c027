"""Token data from a model server through agent and collector, checked; one task's history is tokenised anew."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.free_port import free_port
from tests.integration.conftest import BIN, COMMAND_BOUND_S, ROOT

pytestmark = pytest.mark.integration
WEATHER = "resources_servers/example_simple_weather"
MODEL = "responses_api_models/scripted_model/configs/scripted_model.yaml"
BROKEN, TASKS = 2, 5  # the third of the example tasks is about Tokyo


@dataclass(frozen=True)
class Run:
    """A run whose model gives token data, with another tokenisation of earlier answers where Tokyo is asked for."""

    folder: Path
    environment: dict[str, str]
    port: int

    def collect(self, output: str, *options: str) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
        """Collect the example tasks; see `outcome_of`."""
        return self.outcome_of("ng_collect_rollouts", f"{WEATHER}/data/example.jsonl", output, *options)

    def outcome_of(
        self, command: str, input_path: str, output: str, *options: str
    ) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
        """Return what a command prints, its rows in the order of their tasks, and the metrics."""
        path = self.folder / output
        arguments = (
            "+agent_name=simple_weather_simple_agent",
            f"+input_jsonl_fpath={input_path}",
            f"+output_jsonl_fpath={path}",
            f"+head_server.port={self.port}",
            *options,
        )
        done = subprocess.run(
            [str(BIN / command), *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_BOUND_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        metrics = json.loads(path.with_name(f"{path.stem}_metrics.json").read_text())
        return done.stdout, sorted(rows, key=lambda row: row["_ng_task_index"]), metrics


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("token_data")
    config = yaml.safe_load((ROOT / MODEL).read_text())
    fault = {"kind": "token_data", "problem": "retokenized", "when": {"last_user_matches": "Tokyo"}}
    settings = config["policy_model"]["responses_api_models"]["scripted_model"]
    settings |= {"return_token_id_information": True, "faults": [fault]}
    (folder / "model.yaml").write_text(yaml.safe_dump(config))
    environment, port = {**os.environ, "NEMO_GYM_HOME": str(folder / "home")}, free_port()
    process = subprocess.Popen(
        [str(BIN / "ng_run"), f"{WEATHER}/configs/simple_weather.yaml", "model.yaml", f"+head_server.port={port}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert any("servers are ready" in line for line in process.stdout)
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield Run(folder, environment, port)
    finally:
        process.terminate()
        process.wait(timeout=COMMAND_BOUND_S)


def token_data(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in row["response"]["output"] if "prompt_token_ids" in item]


def test_only_the_rollout_whose_history_was_tokenised_anew_is_masked_and_shown_decoded(run: Run) -> None:
    out, rows, metrics = run.collect("checked.jsonl")
    assert [bool(row.get("mask_sample")) for row in rows] == [task == BROKEN for task in range(TASKS)]
    assert [len(token_data(row)) for row in rows] == [2] * TASKS
    assert {row["reward"] for row in rows} == {1.0}
    assert (metrics["expected"], metrics["scored"], metrics["masked"]) == (TASKS, TASKS - 1, 1)
    assert metrics["masked_by_kind"] == {"token_data_invalid": 1}

    first, second = token_data(rows[BROKEN])
    known, prompt = first["prompt_token_ids"] + first["generation_token_ids"], second["prompt_token_ids"]
    position = next(at for at, (a, b) in enumerate(zip(known, prompt, strict=False)) if a != b)
    assert prompt[position] == 1000 + 256 * ord("g") + ord("e")  # of get_weather, as the fault joins them
    assert rows[BROKEN]["failure_kind"] == "token_data_invalid"
    reason = rows[BROKEN]["failure_reason"]
    assert f"model call 2: prompt_token_ids don't begin with the {len(first['prompt_token_ids'])} prompt" in reason
    assert f"position {position} (id 1 that call 1 generated" in reason
    assert f">{known[position]}<" in reason
    assert f">{prompt[position]}<" in reason

    table, headline, *sides = [line for line in out.splitlines() if "token_data_invalid" in line or "  call " in line]
    assert table.split() == ["token_data_invalid", "1"]
    assert headline.startswith(f"token_data_invalid, the first one masked, task {BROKEN}, repeat 0: model call 2: ")
    assert f"position {position} " in headline
    # The same text in other tokens: what such a mistake looks like.
    assert sides == [
        f"  call 1, ids from position {position - 8} on: {window(known, position)}",
        '  call 1, decoded: "okyo.<|end|><|assistant|><|call|>" then "get_weat"',
        f"  call 2, ids from position {position - 8} on: {window(prompt, position)}",
        '  call 2, decoded: "okyo.<|end|><|assistant|><|call|>" then "get_weath"',
    ]


def window(ids: list[int], position: int) -> str:
    before, after = ids[position - 8 : position], ids[position + 1 : position + 8]
    return ", ".join([*map(str, before), f">{ids[position]}<", *map(str, after)])


def test_without_the_check_every_rollout_is_scored_until_a_reverification_checks_them(run: Run) -> None:
    out, rows, metrics = run.collect("unchecked.jsonl", "+check_token_ids=false", "+num_repeats=2")
    assert not any("mask_sample" in row for row in rows)
    assert (metrics["scored"], metrics["masked"]) == (2 * TASKS, 0)
    assert "token_data_invalid" not in out
    _, rows, metrics = run.outcome_of("ng_reverify", "unchecked.jsonl", "again.jsonl")
    kinds = [row.get("failure_kind") for row in rows]
    assert kinds == [None, None, None, None, "token_data_invalid", "token_data_invalid", None, None, None, None]
    assert (metrics["scored"], metrics["masked"], metrics["per_task"]["n"]) == (2 * TASKS - 2, 2, [2, 2, 2, 2])
    manifest = json.loads((run.folder / "again_manifest.json").read_text())
    assert (manifest["num_repeats"], manifest["reverified_repeats"]) == (1, 2)
