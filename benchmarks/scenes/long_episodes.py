"""Long episodes: 50 steps, each tool result 2 KB. What a step costs at the end, against near the beginning.

The endpoint measures, one rollout at a time: a step is what passes between its answer and the next request.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contestants.contestant import Contestant, alternate
from benchmarks.contestants.endpoint import MockEndpoint
from benchmarks.contestants.floor_run import COLOCATED, SEPARATE
from benchmarks.contestants.gym_run import AGENT, OURS
from benchmarks.contestants.side_by_side import side_by_side
from benchmarks.measuring.drive import Driven, drive
from benchmarks.measuring.throughput import note_bad
from benchmarks.options import Options
from benchmarks.report import Report
from benchmarks.workspace import workspace

STEPS = 50
RESULT = "x" * 2048
ROLLOUTS = 20
EARLY, LATE = (4, 5, 6), (48, 49, 50)
_ENVIRONMENT = "example_simple_weather.resources_servers.example_simple_weather"

StepTimes = dict[int, float]


def run(options: Options) -> Report:
    """Compare step 5 and step 50 with the floor's, and the growth from one to the other."""
    report = Report("long_episodes", f"{STEPS} steps, tool results of {len(RESULT)} bytes, {options.mode}")
    ours = (
        f"++{_ENVIRONMENT}.weather_description={RESULT}",
        f"++{AGENT}.responses_api_agents.simple_agent.max_steps=null",
    )
    endpoint = ("--tool-calls", str(STEPS - 1), "--step-times")
    with (
        workspace() as folder,
        side_by_side(folder, options, endpoint=endpoint, ours=ours, floor=("--weather", RESULT)) as (mock, gym, floor),
    ):
        count = options.rollouts or ROLLOUTS
        found = alternate([gym, floor], options.pairs, lambda one: _measure(one, mock, folder, count))
    note_bad(report, {name: [driven for driven, _ in each] for name, each in found.items()})
    base_name = COLOCATED if options.colocate else SEPARATE
    _compare(report, [times for _, times in found[OURS]], [times for _, times in found[base_name]], base_name)
    return report


def _measure(contestant: Contestant, mock: MockEndpoint, folder: Path, count: int) -> tuple[Driven, StepTimes]:
    mock.seen()
    driven = drive(contestant, folder, count, 1, warm_up=1)
    times = mock.seen()["step_times_s"]
    return driven, {int(step): statistics.median(each) * 1e3 for step, each in times.items()}


def _compare(report: Report, ours: list[StepTimes], base: list[StepTimes], base_name: str) -> None:
    early, base_early = ([_at(times, EARLY) for times in side] for side in (ours, base))
    late, base_late = ([_at(times, LATE) for times in side] for side in (ours, base))
    report.compare("step 5", "ms", early, base_early, base_name, "lower")
    report.compare("step 50", "ms", late, base_late, base_name, "lower")
    report.compare("step 50 against step 5, ours", "ms", late, early, "step 5", "lower")
    report.compare("step 50 against step 5, the floor as `ours`", "ms", base_late, base_early, "step 5", "lower")


def _at(times: StepTimes, steps: Sequence[int]) -> float:
    return statistics.median(times[step] for step in steps)
