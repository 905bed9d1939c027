"""A big task file at small concurrency: the collector's memory stays flat.

The baseline is the same collector with a file of a tenth of the rows.
"""

from benchmarks.contestants.endpoint import mock_endpoint
from benchmarks.contestants.gym_run import gym_run
from benchmarks.measuring.collecting import collect, write_tasks
from benchmarks.options import Options
from benchmarks.report import Report
from benchmarks.workspace import workspace

IN_FLIGHT = 32


def run(options: Options) -> Report:
    """Compare the collector's peak memory for all rows and for a tenth; report its course over time."""
    rows = options.tasks
    report = Report("big_file", f"{rows} tasks, {IN_FLIGHT} in flight, {options.mode}")
    with (
        workspace() as folder,
        mock_endpoint(folder) as endpoint,
        gym_run(folder, endpoint.url, *options.overrides) as gym,
    ):
        tasks = {count: write_tasks(folder / f"tasks-{count}.jsonl", count) for count in (max(1, rows // 10), rows)}
        small, big = (
            [
                collect(gym, folder, path, in_flight=IN_FLIGHT, within_s=options.limit_s)
                for _ in range(options.pairs if count < rows else 1)
            ]
            for count, path in tasks.items()
        )
    all_rows = big[0]
    report.compare("peak RSS", "MB", [all_rows.peak_mb] * len(small), [c.peak_mb for c in small], "a tenth", "lower")
    report.add("rollouts written", "rollouts", [float(all_rows.rollouts)])
    report.add("collected", "rollouts/s", [all_rows.rollouts / all_rows.seconds])
    for low in (0.1, 0.3, 0.5, 0.7, 0.9):
        label = f"RSS from {low:.0%} to {low + 0.1:.0%} of the output"
        report.add(label, "MB", [all_rows.rss_between(low, low + 0.1)])
    growth_kb = (all_rows.rss_between(0.9, 1.0) - all_rows.rss_between(0.1, 0.2)) * 1024
    report.add("growth per task", "KB", [growth_kb / (0.8 * rows)])
    return report
