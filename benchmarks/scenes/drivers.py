"""What one collector can drive, and what two drivers of it: against an agent that answers at once.

The floor is the benchmark's own driver, which posts the same row and looks at nothing but status and reward.
"""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measuring.collecting import write_tasks
from benchmarks.measuring.drive import DRIVE_WITHIN_S, ROW
from benchmarks.measuring.driving import DrivenCollection, collect_from
from benchmarks.options import Options
from benchmarks.program import ProgramError, environment, free_port, home_in, python_module, running, wait_for_port
from benchmarks.report import Report
from benchmarks.workspace import workspace

CONCURRENCY = (32, 256)
ROLLOUTS = 20_000


def run(options: Options) -> Report:
    """Compare rollouts per second of one process with the floor's driver, and of two drivers with one process."""
    count, port = options.rollouts or ROLLOUTS, free_port()
    report = Report("drivers", f"{count} rollouts with an agent that answers at once")
    command = python_module("benchmarks.floor.instant_agent", "--port", str(port))
    with workspace() as folder, running(command, folder, "agent") as agent:
        wait_for_port(port, agent)
        tasks = write_tasks(folder / "tasks.jsonl", count)
        for concurrency in options.concurrency or CONCURRENCY:
            floor = partial(_floor, port, folder, count, concurrency)
            ours = partial(collect_from, port, folder, tasks, concurrency=concurrency, within_s=options.limit_s)
            _compare(report, options.pairs, f"concurrency {concurrency}", floor, ours)
    return report


def _compare(
    report: Report, pairs: int, label: str, floor: Callable[[], float], ours: Callable[..., DrivenCollection]
) -> None:
    base: list[float] = []
    found: dict[int, list[DrivenCollection]] = {1: [], 2: []}
    for number in range(pairs):
        order = (0, 1, 2) if number % 2 == 0 else (2, 1, 0)
        for num_drivers in order:
            if num_drivers:
                found[num_drivers].append(ours(num_drivers=num_drivers))
            else:
                base.append(floor())
    rates = {num_drivers: [one.rollouts_per_s for one in each] for num_drivers, each in found.items()}
    report.compare(f"{label}, one process", "rollouts/s", rates[1], base, "the floor's driver", "higher")
    report.compare(f"{label}, 2 drivers", "rollouts/s", rates[2], rates[1], "one process", "higher")
    report.add(f"{label}, one process: CPU of a rollout", "ms", [one.collector_ms for one in found[1]])
    report.add(f"{label}, 2 drivers: CPU of a rollout, collector", "ms", [one.collector_ms for one in found[2]])
    report.add(f"{label}, 2 drivers: CPU of a rollout, drivers", "ms", [one.drivers_ms for one in found[2]])


def _floor(port: int, folder: Path, count: int, concurrency: int) -> float:
    url = f"http://127.0.0.1:{port}/run"
    done = subprocess.run(
        python_module("benchmarks.floor.drive", url, str(ROW), str(count), str(concurrency)),
        cwd=folder,
        env=environment(home_in(folder)),
        capture_output=True,
        timeout=DRIVE_WITHIN_S,
        check=False,
    )
    if done.returncode:
        raise ProgramError(f"the driver failed: {done.stderr[-1000:]!r}")
    return float(json.loads(done.stdout.splitlines()[-1])["rollouts_per_s"])
