"""Whole collections, written as a collector writes them: with groups, failures and masks."""

import base64
import random
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measuring.made_rows import AGENT, STARTED_AT, placed, rollout_row, task_row, write_manifest
from nemo_gym.collections.files import OutputPaths, write_json
from nemo_gym.collections.identity import read_task_set
from nemo_gym.collections.manifest import Manifest


def failure_record(task: int, repeat: int, kind: str = "model_unavailable", stage: str = "agent") -> dict[str, Any]:
    """Return a failure record."""
    return {
        "schema_version": 1,
        "_ng_task_index": task,
        "_ng_rollout_index": repeat,
        "attempt": 2,
        "rollout_id": f"{task}-{repeat}-2",
        "agent_ref": AGENT,
        "failure_kind": kind,
        "stage": stage,
        "failure_reason": "the endpoint answered 503 ten times within 300 s: overloaded, try again later",
        "origin": None,
        "delivery": "delivered",
        "terminal": False,
        "started_at": STARTED_AT + 60,
        "elapsed_s": 301.2,
    }


def write_collection(
    path: Path, *, tasks: int = 30, repeats: int = 4, skill: float = 0.5, seed: int = 1, left: int = 0
) -> OutputPaths:
    """Write a whole collection; `left` rollouts at its end are not settled."""
    rng, paths = random.Random(seed), OutputPaths(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, failures, journal = [], [], []
    for number in range(tasks * repeats - left):
        task, repeat = divmod(number, repeats)
        journal.append(_dispatched(task, repeat, number))
        draw = rng.random()
        if draw < 0.04:
            failures.append(failure_record(task, repeat))
        elif draw < 0.06:
            failures.append(failure_record(task, repeat, "verifier_error", "verification"))
        else:
            row = rollout_row(task, repeat, rng, skill=skill)
            if draw < 0.1:
                row |= {"mask_sample": True, "failure_kind": "tool_failure", "failure_reason": "book_room raised: full"}
            rows.append(row)
    rng.shuffle(rows)
    _write(paths.rollouts, rows)
    _write(paths.failures, failures)
    _write(paths.journal, journal)
    _write(paths.materialized_inputs, [placed(task_row(task), task, 0) for task in range(tasks)])
    write_manifest(paths, tasks, repeats)
    return paths


def with_equal_rows(paths: OutputPaths, copies: int) -> OutputPaths:
    """Make the repeats of each task those of equal rows, so many: as if the rows were prepared with `num_repeats`.

    Row 0, repeat 1 of a collection with two repeats becomes row 1, repeat 0, and so on: nothing else changes.
    """
    manifest = Manifest.model_validate_json(paths.manifest.read_bytes())
    repeats = manifest.num_repeats // copies
    for path in (paths.rollouts, paths.failures, paths.journal):
        rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        for row in rows:
            copy, row["_ng_rollout_index"] = divmod(row["_ng_rollout_index"], repeats)
            row["_ng_task_index"] = row["_ng_task_index"] * copies + copy
        _write(path, rows)
    rows = [task_row(row // copies) for row in range(manifest.num_tasks * copies)]
    _write(paths.materialized_inputs, [placed(row, number, 0) for number, row in enumerate(rows)])
    tasks = read_task_set(map(orjson.dumps, rows))
    digests = base64.b64encode(tasks.row_digests).decode()
    changes = {"num_tasks": tasks.count, "num_repeats": repeats, "row_digests": digests}
    write_json(paths.manifest, manifest.model_copy(update=changes).model_dump())
    return paths


def _dispatched(task: int, repeat: int, number: int) -> dict[str, Any]:
    at = STARTED_AT + number
    return {"event": "dispatched", "_ng_task_index": task, "_ng_rollout_index": repeat, "attempt": 0, "at": at}


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
