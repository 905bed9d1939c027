"""What holds for every export of any collection."""

import hashlib
import json
import math
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_gym.config.errors import ConfigError
from nemo_gym.training.export import export
from nemo_gym.training.manifest import ExportManifest, manifest_path
from nemo_gym.training.options import ExportOptions
from tests.made_collections import failure_record
from tests.unit.training.conftest import Row, masked, read, rollout, with_tokens, write

CANARY = "masked or failed"


@st.composite
def collections(draw: st.DrawFn) -> list[Row]:
    """Rows of some tasks in any order: scored, masked, with and without token data, with duplicates of a place."""
    rows = []
    for _ in range(draw(st.integers(1, 12))):
        task, repeat = draw(st.integers(0, 2)), draw(st.integers(0, 3))
        reward = draw(st.sampled_from([0.0, 0.1, 0.3, 1.0]))
        is_masked = draw(st.booleans()) and draw(st.booleans())
        text = CANARY if is_masked else draw(st.sampled_from(["yes", "no", "ü\u2028\n"]))
        row = rollout(task, repeat, reward, text)
        if draw(st.integers(0, 2)) == 0:
            row["responses_create_params"] = {"input": "another prompt"}
        if draw(st.integers(0, 3)):
            row = with_tokens(row, draw(st.integers(1, 4)), draw(st.integers(1, 3)))
        rows.append(masked(row) if is_masked else row)
    return rows


OPTIONS = st.one_of(
    st.fixed_dictionaries(
        {"format": st.just("sft"), "best_of": st.sampled_from([None, 1, 2]), "deduplicate": st.booleans()}
    ),
    st.fixed_dictionaries(
        {"format": st.just("preference"), "pairs": st.sampled_from(["one", "all"]), "margin": st.sampled_from([0, 0.2])}
    ),
    st.fixed_dictionaries({"format": st.just("kto"), "completion": st.sampled_from(["whole", "first_step"])}),
    st.fixed_dictionaries(
        {"format": st.just("rl"), "advantage": st.sampled_from(["mean", "normalized", "leave_one_out"])}
    ),
)


PLACES = st.sets(st.tuples(st.integers(0, 2), st.integers(0, 3)))


def exported(
    rows: list[Row], options: dict[str, Any], folder: Path, name: str, failed: Iterable[tuple[int, int]] = ()
) -> tuple[bytes, ExportManifest] | None:
    """The exported bytes and the manifest; None where nothing can be exported, and nothing may be left then."""
    source = folder / "rollouts.jsonl"
    if not source.exists():
        write(source, rows)
        failures = [failure_record(*place) | {"failure_reason": CANARY} for place in failed]
        write(folder / "rollouts_failures.jsonl", failures)
    output = folder / name
    values = {**options, "input_jsonl_fpath": source, "output_fpath": output}
    try:
        manifest = export(ExportOptions.model_validate(values))
    except ConfigError:
        assert sorted(path.name for path in folder.iterdir()) == ["rollouts.jsonl", "rollouts_failures.jsonl"]
        return None
    return output.read_bytes(), manifest


@settings(max_examples=120)
@given(collections(), PLACES, OPTIONS)
def test_every_export_keeps_its_promises(
    rows: list[Row], failed: set[tuple[int, int]], options: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = exported(rows, options, folder, "a.jsonl", failed)
        if made is None:
            return
        data, manifest = made
        assert CANARY.encode() not in data
        assert manifest.used + sum(manifest.left_out.values()) == manifest.rollouts == len(rows)
        assert manifest.sha256 == hashlib.sha256(data).hexdigest()
        assert manifest.rows == len(data.splitlines())
        exports = read(folder / "a.jsonl")
        eligible = {(row["_ng_task_index"], row["_ng_rollout_index"]): row for row in rows}
        assert len(set(places(exports))) == manifest.used
        assert manifest.failed == len(failed - eligible.keys())
        for place in places(exports):
            assert not eligible[place].get("mask_sample")
        if options["format"] == "rl":
            assert_advantages_sum_to_0(exports)
        if options["format"] == "preference":
            assert_prompts_are_those_of_both(exports, eligible)


def places(exports: list[Row]) -> list[tuple[int, int]]:
    keys = ("rollout_index", "chosen_rollout_index", "rejected_rollout_index")
    return [(row["task_index"], row[key]) for row in exports for key in keys if key in row]


def assert_advantages_sum_to_0(exports: list[Row]) -> None:
    for task in {row["task_index"] for row in exports}:
        group = [row["advantage"] for row in exports if row["task_index"] == task]
        assert len(group) >= 2
        assert abs(math.fsum(group)) <= 1e-9
    for row in exports:
        assert len(row["input_ids"]) == len(row["loss_mask"]) == len(row["log_probs"])


def assert_prompts_are_those_of_both(exports: list[Row], rows: dict[tuple[int, int], Row]) -> None:
    for row in exports:
        sides = [rows[row["task_index"], row[f"{side}_rollout_index"]] for side in ("chosen", "rejected")]
        prompts = [json.dumps(side["responses_create_params"]).encode() for side in sides]
        assert prompts[0] == prompts[1]
        assert row["chosen_reward"] > row["rejected_reward"]


@settings(max_examples=40)
@given(collections(), OPTIONS, st.sampled_from(["jsonl", "parquet"]), st.randoms())
def test_two_exports_of_the_same_rollouts_are_byte_equal_in_whatever_order_they_ended(
    rows: list[Row], options: dict[str, Any], ending: str, random: Any
) -> None:
    by_place = {(row["_ng_task_index"], row["_ng_rollout_index"]): row for row in rows}
    once = list(by_place.values())
    shuffled = random.sample(once, len(once))
    results = []
    for group in (once, once, shuffled):
        with tempfile.TemporaryDirectory() as name:
            made = exported(group, options, Path(name), f"a.{ending}")
            results.append(made and (made[0], manifest_path(Path(name) / f"a.{ending}").read_bytes()))
    assert results[0] == results[1]
    assert results[2] == results[0]


@pytest.mark.parametrize("form", ["sft", "preference", "kto", "rl"])
def test_parquet_holds_what_jsonl_holds(form: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [with_tokens(rollout(task, n, n / 3, f"answer {n}")) for task in range(3) for n in range(4)]
    for ending in ("jsonl", "parquet"):
        exported(rows, {"format": form}, tmp_path, f"a.{ending}")
    table = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    messages = ("messages", "prompt", "completion", "chosen", "rejected")
    for row in table:
        row |= {key: [json.loads(message) for message in row[key]] for key in messages if key in row}
    assert table == read(tmp_path / "a.jsonl")
