import asyncio
import contextlib
import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from nemo_gym.collections.counts import Counts
from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.metrics.metrics import Metrics
from nemo_gym.collections.outcomes import Attempt
from nemo_gym.rollouts import progress
from nemo_gym.rollouts.progress import Pace, ProgressDisplay, ProgressState
from nemo_gym.rollouts.summary import failure_lines, summary_rows
from nemo_gym.wire.failure import rollout_error


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


STATE = ProgressState(done=30, failed=10, in_flight=5, expected=100, mean_reward=0.25, at_start=20)


def lines_at(seconds: list[float], state: ProgressState) -> list[tuple[float, str]]:
    """Return (time, line) of what is written when the display is updated at these times."""
    clock, written = Clock(), []
    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        display = ProgressDisplay(lambda: state, clock)
        for clock.now in seconds:
            display.update()
            if line := stderr.getvalue():
                written.append((clock.now, line.strip()))
                stderr.seek(0)
                stderr.truncate()
    return written


def test_a_plain_line_says_what_was_done_what_failed_how_fast_and_how_long_it_takes() -> None:
    state = replace(STATE, failed_by_kind={"judge_failed": 7, "tool_error": 3}, retries=4, latency_p50_s=2.5)
    ((_, line),) = lines_at([10.0], state)
    assert line == (
        "40/100 · 30 done · 10 failed (judge_failed 7, tool_error 3) · 5 in flight · 4 retries · 2.0/s · p50 2.5 s · "
        "0:30 left · mean reward 0.250"
    )


def test_plain_lines_are_few_and_their_distance_grows_to_a_minute() -> None:
    times = [time for time, _ in lines_at([float(second) for second in range(600)], STATE)]
    gaps = [after - before for before, after in pairwise(times)]
    assert times[0] == 10.0
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (15.0, 60.0)


def test_a_slow_rate_is_shown_in_a_unit_that_is_not_zero_and_none_at_all_before_the_first_is_done() -> None:
    nothing_yet = replace(STATE, done=20, failed=0)
    assert "/s" not in lines_at([20.0], nothing_yet)[0][1]
    assert "3.0/min" in lines_at([20.0], replace(nothing_yet, done=21))[0][1]


def test_time_left_is_not_guessed_before_as_many_are_done_as_are_in_flight() -> None:
    pace = Pace(0.0)
    state = ProgressState(done=60, failed=0, in_flight=64, expected=640, mean_reward=None)
    assert pace.seconds_left(10.0, state) is None
    assert pace.seconds_left(20.0, replace(state, done=64)) == pytest.approx(180.0)


def test_time_left_forgets_a_slow_start() -> None:
    pace, state = Pace(0.0), ProgressState(done=0, failed=0, in_flight=8, expected=10_000, mean_reward=None)
    for second in range(100):
        pace.rate(float(second), state)  # a model that is being loaded
    for second in range(100, 200):
        state = replace(state, done=10 * (second - 99))
        left = pace.seconds_left(float(second), state)
    assert left == pytest.approx((10_000 - state.done) / 10, rel=0.05)


def test_the_last_line_shows_the_end_when_there_were_lines_before(capsys: pytest.CaptureFixture[str]) -> None:
    clock, states = Clock(), [STATE, replace(STATE, done=90)]
    with ProgressDisplay(lambda: states[0], clock) as display:
        clock.now = 10.0
        display.update()
        states.pop(0)
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["40/100", "100/100"]
    with ProgressDisplay(lambda: STATE, clock):
        pass
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
    monkeypatch.setattr(progress, "_FIRST_LINE_S", 0.0)
    monkeypatch.setattr(progress, "_TICK_S", 0.01)
    with ProgressDisplay(lambda: ProgressState(0, 0, 3, 9, None)) as display, pytest.raises(TimeoutError):
        await asyncio.wait_for(display.keep_showing(), 0.1)
    assert "0/9 · 3 in flight" in capsys.readouterr().err
