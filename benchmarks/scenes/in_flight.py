"""Many in flight: all rollouts at once at a slow model. All must finish; what it costs in memory.

Then the collector, with one and with two times as many tasks as in flight: its memory must not follow the tasks.
"""

from pathlib import Path

from benchmarks.contestants.contestant import Contestant, alternate
from benchmarks.contestants.gym_run import OURS, GymRun
from benchmarks.contestants.side_by_side import side_by_side
from benchmarks.measuring.collecting import collect, write_tasks
from benchmarks.measuring.drive import Driven, drive
from benchmarks.measuring.memory import PeakMemory, watched
from benchmarks.measuring.throughput import note_bad
from benchmarks.options import Options
from benchmarks.program import ProgramError
from benchmarks.report import Report
from benchmarks.workspace import workspace

MODEL_LATENCY_S = 2.0
COLLECT_WITHIN_S = 900.0


def run(options: Options) -> Report:
    """Compare the rate with the floor's; report the peak memory of every process and of the collector."""
    many = options.in_flight
    report = Report("in_flight", f"{many} rollouts in flight, model latency {MODEL_LATENCY_S:g} s, {options.mode}")

    def measure(contestant: Contestant) -> tuple[Driven, PeakMemory]:
        with watched(contestant.processes) as memory:
            return drive(contestant, folder, many, many), memory

    endpoint = ("--latency-s", str(MODEL_LATENCY_S))
    with workspace() as folder, side_by_side(folder, options, endpoint=endpoint) as (mock, gym, floor):
        found = alternate([gym, floor], options.pairs, measure)
        report.note(f"the endpoint had at most {mock.seen()['peak']} requests open")
        _report_driven(report, found)
        try:
            _report_collector(report, folder, gym, many)
        except (ProgramError, TimeoutError) as error:  # what was measured before it counts all the same
            report.note(f"collector: {error}")
    return report


def _report_driven(report: Report, found: dict[str, list[tuple[Driven, PeakMemory]]]) -> None:
    driven = {name: [one for one, _ in each] for name, each in found.items()}
    note_bad(report, driven)
    ours = driven.pop(OURS)
    for name, base in driven.items():
        rates = [one.rollouts_per_s for one in ours], [one.rollouts_per_s for one in base]
        report.compare("all finished", "rollouts/s", *rates, base_name=name, better="higher")
        report.add("lost by the floor", "rollouts", [float(one.bad) for one in base])
    report.add("lost", "rollouts", [float(one.bad) for one in ours])
    report.add("driver: peak RSS", "MB", [one.peak_rss_mb for one in ours])
    for process in found[OURS][0][1].peak_mb:
        report.add(f"{process}: peak RSS", "MB", [memory.peak_mb.get(process, 0.0) for _, memory in found[OURS]])


def _report_collector(report: Report, folder: Path, gym: GymRun, many: int) -> None:
    for count in (many, 2 * many):
        tasks = write_tasks(folder / f"tasks-{count}.jsonl", count)
        collected = collect(gym, folder, tasks, in_flight=many, within_s=COLLECT_WITHIN_S)
        report.add(f"collector, {count} tasks: peak RSS", "MB", [collected.peak_mb])
        report.add(f"collector, {count} tasks: rollouts written", "rollouts", [float(collected.rollouts)])
        report.add(f"collector, {count} tasks: time", "s", [collected.seconds])
