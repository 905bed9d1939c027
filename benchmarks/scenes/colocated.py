"""Weather, colocated: all servers in one process, against both floors."""

from benchmarks.contestants.floor_run import colocated_floor, separate_floor
from benchmarks.measuring.throughput import compare_throughput
from benchmarks.options import COLOCATE, Options
from benchmarks.report import Report


def run(options: Options) -> Report:
    """Compare rollouts per second with the colocated floor and the separate one."""
    report = Report("colocated", "weather rollouts, all servers in one process")
    return compare_throughput(report, options, [colocated_floor, separate_floor], COLOCATE)
