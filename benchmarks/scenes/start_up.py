"""Start-up: `ng_run` to ready, `ng_collect_rollouts` for one row, and what an idle run holds in memory.

Times are compared with `python -c "import fastapi, uvicorn, aiohttp, openai"`, measured in turn with them.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants.endpoint import MockEndpoint, mock_endpoint
from benchmarks.contestants.gym_run import gym_run
from benchmarks.measuring.collecting import collect, write_tasks
from benchmarks.measuring.memory import Held, held_by
from benchmarks.options import Options
from benchmarks.program import ProgramError, environment
from benchmarks.report import Report
from benchmarks.workspace import workspace

IMPORTS = "import fastapi, uvicorn, aiohttp, openai"
SETTLE_S = 1.0
_WITHIN_S = 120.0


@dataclass(frozen=True)
class StartUp:
    """One start of ours: seconds to ready, seconds for one row, what each process holds when idle."""

    ready_s: float
    one_row_s: float
    idle: dict[str, Held]


def run(options: Options) -> Report:
    """Compare both times with that of the imports; report the idle memory."""
    report = Report("start_up", f"start, one row, idle memory, {options.mode}")
    with workspace() as folder, mock_endpoint(folder) as endpoint:
        _start(folder, endpoint, options)  # warm: compiled modules, files in memory
        _import_s(folder)
        pairs = [_pair(folder, endpoint, options, number) for number in range(options.pairs)]
    imports = [seconds for seconds, _ in pairs]
    starts = [start for _, start in pairs]
    report.compare("ng_run to ready", "s", [start.ready_s for start in starts], imports, "imports", "lower")
    report.compare("one row collected", "s", [start.one_row_s for start in starts], imports, "imports", "lower")
    _report_memory(report, [start.idle for start in starts])
    return report


def _pair(folder: Path, endpoint: MockEndpoint, options: Options, number: int) -> tuple[float, StartUp]:
    if number % 2:
        start = _start(folder, endpoint, options)
        return _import_s(folder), start
    return _import_s(folder), _start(folder, endpoint, options)


def _import_s(folder: Path) -> float:
    began_at = time.monotonic()
    command = [sys.executable, "-c", IMPORTS]
    subprocess.run(command, cwd=folder, env=environment(folder / "home"), timeout=_WITHIN_S, check=True)
    return time.monotonic() - began_at


def _start(folder: Path, endpoint: MockEndpoint, options: Options) -> StartUp:
    with gym_run(folder, endpoint.url, *options.overrides) as gym:
        time.sleep(SETTLE_S)
        idle = {name: held_by(process) for name, process in gym.processes().items()}
        one = collect(gym, folder, write_tasks(folder / "one.jsonl", 1), in_flight=1, within_s=_WITHIN_S)
        if one.rollouts != 1:
            raise ProgramError(f"one row gave {one.rollouts} rollouts, exit status {one.status}")
        return StartUp(gym.ready_s, one.seconds, idle)


def _report_memory(report: Report, idle: list[dict[str, Held]]) -> None:
    for kind in ("uss_mb", "pss_mb", "rss_mb"):
        sums = [sum(getattr(held, kind) for held in run.values()) for run in idle]
        report.add(f"idle, all processes, {kind[:3].upper()}", "MB", sums)
    for name in idle[0]:
        report.add(f"idle, {name}, PSS", "MB", [run[name].pss_mb for run in idle if name in run])
