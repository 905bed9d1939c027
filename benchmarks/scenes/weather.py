"""Weather, separate processes: what one rollout costs beside the same HTTP calls with nothing else."""

from benchmarks.contestants.floor_run import separate_floor
from benchmarks.measuring.throughput import compare_throughput
from benchmarks.options import Options
from benchmarks.report import Report


def run(options: Options) -> Report:
    """Compare rollouts per second with the separate floor."""
    report = Report("weather", "weather rollouts, every server a process")
    return compare_throughput(report, options, [separate_floor])
