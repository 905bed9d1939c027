import asyncio
from pathlib import Path

import pytest

from nemo_gym.collections.counts import Counts
from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.metrics import Metrics
from nemo_gym.collections.records import Attempt
from nemo_gym.rollouts import progress
from nemo_gym.rollouts.progress import ProgressDisplay, ProgressState
from nemo_gym.rollouts.summary import failure_lines, summary_rows
from nemo_gym.wire.failure import rollout_error


def test_a_plain_line_says_done_failed_in_flight_rate_time_left_and_mean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_EVERY_S", 0.0)
    state = ProgressState(done=30, failed=10, in_flight=5, expected=100, mean_reward=0.25, at_start=20)
    with ProgressDisplay(lambda: state) as display:
        display.update()
    line = capsys.readouterr().err
    for part in ("40/100", "30 done", "10 failed", "5 in flight", "/s", "left", "mean reward 0.250"):
        assert part in line


def test_lines_come_now_and_then_and_not_for_every_rollout(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay(lambda: ProgressState(1, 0, 0, 9, None)) as display:
        for _ in range(1_000):
            display.update()
    assert capsys.readouterr().err == ""


def test_a_summary_adds_up_and_names_the_failures_by_kind() -> None:
    counts = Counts(expected=10, scored=4, masked=1)
    for task in range(3):
        error = rollout_error("judge_failed", "the judge\nanswered 503", stage="verification")
        counts.add(Attempt.begin(task, 2, 0, "agent").failed(error))
    rows = {name.strip(): value for name, value in summary_rows(counts, Metrics().as_dict(counts), 61.04)}
    assert int(rows["expected"]) == sum(int(rows[part]) for part in ("scored", "masked", "failed", "not settled")) == 10
    assert rows["time"] == "61.0 s"
    first, where = failure_lines(counts, OutputPaths(Path("out/r.jsonl")))
    assert first == "judge_failed, 3 times: the judge answered 503 (task 0, repeat 2, at verification)"
    assert where == "all failures: out/r_failures.jsonl"


def test_a_summary_counts_a_single_failure_in_the_singular() -> None:
    counts = Counts(expected=1)
    counts.add(Attempt.begin(0, 0, 0, "agent").failed(rollout_error("judge_failed", "no", stage="verification")))
    assert failure_lines(counts, OutputPaths(Path("out/r.jsonl")))[0].startswith("judge_failed, 1 time: no")


async def test_progress_is_shown_also_while_nothing_is_settled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_EVERY_S", 0.0)
    monkeypatch.setattr(progress, "_TICK_S", 0.01)
    with ProgressDisplay(lambda: ProgressState(0, 0, 3, 9, None)) as display, pytest.raises(TimeoutError):
        await asyncio.wait_for(display.keep_showing(), 0.1)
    assert "0/9 0 done · 0 failed · 3 in flight" in capsys.readouterr().err
