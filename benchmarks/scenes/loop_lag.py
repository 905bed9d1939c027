"""Event-loop lag: how long GET /health waits while rollouts run, at the 99th percentile of the worst server."""

import time
from pathlib import Path

from benchmarks.contestants.contestant import Contestant, alternate
from benchmarks.contestants.gym_run import OURS
from benchmarks.contestants.side_by_side import side_by_side
from benchmarks.measuring.drive import drive
from benchmarks.measuring.probe import Latencies, probing
from benchmarks.options import Options
from benchmarks.report import Report
from benchmarks.workspace import workspace

CONCURRENCY = (32, 256)
IDLE_S = 3.0


def run(options: Options) -> Report:
    """Compare the lag under load with the floor's, and with an idle run of ours."""
    report = Report("loop_lag", f"GET /health under load, {options.mode}")
    with workspace() as folder, side_by_side(folder, options) as (_, gym, floor):
        contestants: list[Contestant] = [gym, floor]
        idle = [lag.p99_ms() for lag in alternate(contestants, options.pairs, _idle)[OURS]]
        report.add("idle: p99", "ms", idle)
        for concurrency in options.concurrency or CONCURRENCY:
            _compare_at(report, options, folder, contestants, concurrency, idle)
    return report


def _compare_at(
    report: Report,
    options: Options,
    folder: Path,
    contestants: list[Contestant],
    concurrency: int,
    idle: list[float],
) -> None:
    count = options.rollouts_at(concurrency)

    def measure(contestant: Contestant) -> Latencies:
        with probing(contestant.health_urls, contestant.headers) as lag:
            drive(contestant, folder, count, concurrency)
        return lag

    found = alternate(contestants, options.pairs, measure)
    ours = [lag.p99_ms() for lag in found[OURS]]
    for name, lags in found.items():
        base, base_name = (idle, "ours, idle") if name == OURS else ([lag.p99_ms() for lag in lags], name)
        report.compare(f"concurrency {concurrency}: p99", "ms", ours, base, base_name, "lower")


def _idle(contestant: Contestant) -> Latencies:
    with probing(contestant.health_urls, contestant.headers) as lag:
        time.sleep(IDLE_S)
    return lag
