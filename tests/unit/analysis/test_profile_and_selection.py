"""Profiles of tasks, and task files made of those that meet a condition."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.analysis.expression import Condition
from nemo_gym.analysis.interval import wilson_interval
from nemo_gym.analysis.selection import Selection, fields, select_tasks
from nemo_gym.analysis.task_profile import ProfileSettings, TaskProfile, profile_tasks
from nemo_gym.collections.identity import read_task_set
from nemo_gym.collections.manifest import Manifest, make_manifest
from nemo_gym.collections.reading.finished import open_collection
from nemo_gym.collections.records import FailureRecord
from nemo_gym.config.errors import ConfigError
from tests.unit.training.conftest import Row, masked, read, rollout, write

TASKS = [{"responses_create_params": {"input": f"Task {n}?"}, "answer": "ü"} for n in range(4)]


def failure(task: int, repeat: int) -> Row:
    record = FailureRecord(
        task_index=task,
        rollout_index=repeat,
        attempt=0,
        rollout_id="",
        agent_ref=None,
        failure_kind="agent_error",
        stage="agent",
        failure_reason="it broke",
        origin=None,
        delivery="delivered",
        terminal=False,
        started_at=0.0,
        elapsed_s=0.0,
    )
    return record.as_row()


@pytest.fixture
def rollouts(tmp_path: Path) -> Path:
    """Task 0 is solved once in four, 1 always, 2 never (once masked), 3 has failed; and the files beside it."""
    usage = {"input_tokens": 100, "output_tokens": 10}
    rows = [rollout(task, n, float(task == 1 or n == 0 == task)) for task in (2, 0, 1) for n in range(4)]
    rows[3] = masked(rows[3])
    rows = [{**row, "response": {**row["response"], "usage": usage}} for row in rows]
    write(tmp_path / "rollouts_failures.jsonl", [failure(3, 0), failure(3, 0), failure(3, 1), failure(0, 0)])
    sent = [{**row, "_ng_task_index": n, "_ng_rollout_index": 0} for n, row in enumerate(TASKS)]
    write(tmp_path / "rollouts_materialized_inputs.jsonl", [sent[2], sent[0], sent[0], sent[3], sent[1]])
    lines = [line.encode() for line in task_file(tmp_path).read_text().splitlines()]
    manifest = make_manifest(
        read_task_set(lines), num_repeats=4, agent_name="agent", params={}, server_config={}, code={}
    )
    (tmp_path / "rollouts_manifest.json").write_text(manifest.model_dump_json())
    return write(tmp_path / "rollouts.jsonl", rows)


def task_file(folder: Path) -> Path:
    return write(folder / "tasks.jsonl", TASKS)


def profiles(rollouts: Path, **settings: Any) -> list[TaskProfile]:
    return list(profile_tasks(open_collection(rollouts), ProfileSettings(**settings)))


def test_profile_counts_rates_and_means_each_task(rollouts: Path) -> None:
    found = profiles(rollouts, input_price=1.0, output_price=10.0)
    assert [(p.task_index, p.n, p.masked, p.failed, p.pass_rate) for p in found] == [
        (0, 4, 0, 0, 0.25),
        (1, 4, 0, 0, 1.0),
        (2, 3, 1, 0, 0.0),
        (3, 0, 0, 2, None),
    ]
    first = found[0]
    assert (first.reward_variance, first.steps, first.tool_calls, first.output_tokens) == (0.25, 2.0, 1.0, 10.0)
    assert first.cost == pytest.approx((100 * 1 + 10 * 10) / 1e6)
    assert first.pass_rate_low is not None
    assert first.pass_rate_high is not None
    assert 0 < first.pass_rate_low < 0.25 < first.pass_rate_high < 1


def test_wilson_interval_is_the_one_of_the_textbooks() -> None:
    # Brown, Cai and DasGupta, "Interval estimation for a binomial proportion" (2001): Wilson's, 95 %.
    assert wilson_interval(5, 10, 0.95) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson_interval(0, 4, 0.95) == pytest.approx((0.0, 0.4899), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_interval_holds_the_share_and_stays_within_0_and_1(counts: tuple[int, int], confidence: float) -> None:
    low, high = wilson_interval(*counts, confidence)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1
    assert math.isclose(wilson_interval(counts[1] - counts[0], counts[1], confidence)[0], 1 - high, abs_tol=1e-9)


def select(rollouts: Path, where: str, tasks: Path | None, output: Path) -> Selection:
    return select_tasks(open_collection(rollouts), Condition(where, fields()), ProfileSettings(), tasks, output)


def test_selected_rows_are_those_of_the_task_file_byte_for_byte(rollouts: Path, tmp_path: Path) -> None:
    out, tasks = tmp_path / "chosen.jsonl", task_file(tmp_path)
    assert select(rollouts, "pass_rate > 0.1 and pass_rate < 0.9", tasks, out) == Selection(1, 4, 1)
    assert out.read_bytes() == tasks.read_bytes().splitlines(keepends=True)[0]


def test_without_a_task_file_the_rows_are_those_that_were_sent(rollouts: Path, tmp_path: Path) -> None:
    out = tmp_path / "chosen.jsonl"
    assert select(rollouts, "pass_rate < 0.9 or failed > 0", None, out).selected == 3
    assert read(out) == [TASKS[0], TASKS[2], TASKS[3]]


def test_a_task_file_that_was_changed_is_refused_and_nothing_is_left(rollouts: Path, tmp_path: Path) -> None:
    tasks, out = write(tmp_path / "other.jsonl", [TASKS[1], *TASKS[1:]]), tmp_path / "chosen.jsonl"
    with pytest.raises(ConfigError, match=r"row 0 of .* isn't the task that was collected"):
        select(rollouts, "pass_rate < 0.9", tasks, out)
    short = write(tmp_path / "short.jsonl", TASKS[:1])
    with pytest.raises(ConfigError, match="has no row 2"):
        select(rollouts, "pass_rate == 0", short, out)
    assert not list(tmp_path.glob("*chosen*"))


def test_tasks_of_a_reverification_are_selected_from_the_file_behind_its_rollouts(
    rollouts: Path, tmp_path: Path
) -> None:
    path, tasks, out = tmp_path / "rollouts_manifest.json", task_file(tmp_path), tmp_path / "chosen.jsonl"
    source = Manifest.model_validate_json(path.read_text())
    of_rollouts = {"row_digests": "AAAAAAAAAAA=", "reverified_digests": source.row_digests}
    path.write_text(source.model_copy(update=of_rollouts).model_dump_json())
    assert select(rollouts, "pass_rate == 1", tasks, out).selected == 1
    changed = write(tmp_path / "other.jsonl", [TASKS[0], TASKS[0], *TASKS[2:]])
    with pytest.raises(ConfigError, match="isn't the task that was collected"):
        select(rollouts, "pass_rate == 1", changed, tmp_path / "other_chosen.jsonl")


def test_a_condition_that_no_task_meets_is_said(rollouts: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none of 4 tasks meets the condition 'n > 9'"):
        select(rollouts, "n > 9", None, tmp_path / "chosen.jsonl")


def test_profile_as_json_has_every_field_that_a_condition_may_use(rollouts: Path) -> None:
    assert list(json.loads(profiles(rollouts)[0].model_dump_json())) == fields()
