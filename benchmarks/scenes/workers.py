"""Weather, colocated with two workers: each holds the whole set, so a rollout stays inside one process."""

from functools import partial

from benchmarks.contestants.floor_run import colocated_floor, separate_floor
from benchmarks.measuring.throughput import Floor, compare_throughput
from benchmarks.options import COLOCATE, Options
from benchmarks.report import Report

WORKERS = 2


def run(options: Options) -> Report:
    """Compare rollouts per second with as many processes of the colocated floor, and with the separate one."""
    report = Report("workers", f"weather rollouts, colocated with {WORKERS} workers")
    floors: list[Floor] = [partial(colocated_floor, workers=WORKERS), separate_floor]
    return compare_throughput(report, options, floors, COLOCATE, f"+num_workers={WORKERS}")
