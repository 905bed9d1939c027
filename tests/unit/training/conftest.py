"""Rollout files as a collector writes them, and their exports."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.training.export import export
from nemo_gym.training.manifest import ExportManifest
from nemo_gym.training.options import ExportOptions

Row = dict[str, Any]

TOOL = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}


def rollout(task: int, repeat: int, reward: float = 1.0, text: str = "Done.", **changes: Any) -> Row:
    """A rollout of one tool call and one message; `changes` are fields of the row."""
    call_id = f"call_{task}_{repeat}"  # servers draw them, so that no two rollouts share one
    output = [
        {"type": "function_call", "call_id": call_id, "name": "look_up", "arguments": '{"key": "a"}'},
        {"type": "function_call_output", "call_id": call_id, "output": "42"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]},
    ]
    asked = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": f"Task {task}?"}]
    row = {
        "responses_create_params": {"input": asked, "tools": [TOOL]},
        "response": {"model": "policy", "output": output, "status": "completed"},
        "reward": reward,
        "_ng_task_index": task,
        "_ng_rollout_index": repeat,
    }
    return {**row, **changes}


def with_tokens(row: Row, prompt: int = 3, generated: int = 2) -> Row:
    """A rollout with token data of two model calls, the second of which goes on from the first."""
    call, result, message = row["response"]["output"]
    first = list(range(prompt))
    ids, log_probs = list(range(100, 100 + generated)), [-0.5] * generated
    data = [
        {"prompt_token_ids": first, "generation_token_ids": ids, "generation_log_probs": log_probs},
        {"prompt_token_ids": [*first, *ids, 7], "generation_token_ids": ids, "generation_log_probs": log_probs},
    ]
    output = [{**call, **data[0]}, result, {**message, **data[1]}]
    return {**row, "response": {**row["response"], "output": output}}


def masked(row: Row) -> Row:
    return {**row, "mask_sample": True, "failure_kind": "tool_error", "failure_reason": "it broke"}


def write(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


Exported = tuple[list[Row], ExportManifest]
Export = Callable[..., Exported]


@pytest.fixture
def exported(tmp_path: Path) -> Export:
    """Export rollouts; return the rows and the manifest."""

    def run(rows: Iterable[Row], form: str, **options: Any) -> Exported:
        source, output = write(tmp_path / "rollouts.jsonl", rows), tmp_path / "out" / "export.jsonl"
        settings = {"format": form, "input_jsonl_fpath": source, "output_fpath": output, "overwrite": True, **options}
        manifest = export(ExportOptions.model_validate(settings))
        return read(output), manifest

    return run
