"""Stop: from Ctrl-C until no process of the run is left, idle and in the middle of work."""

import time
from pathlib import Path

from benchmarks.contestants.endpoint import mock_endpoint
from benchmarks.contestants.gym_run import GymRun, gym_run
from benchmarks.measuring.drive import drive_command
from benchmarks.options import Options
from benchmarks.program import ProgramError, running
from benchmarks.report import Report
from benchmarks.workspace import workspace

LOAD = 32
BUSY_ROLLOUTS = 100_000  # more than there is time for
MODEL_LATENCY_S = 0.5
_LOAD_FOR_S = 2.0


def run(options: Options) -> Report:
    """Report the seconds, idle and under load."""
    report = Report("stop", f"Ctrl-C to nothing left, {options.mode}")
    with workspace() as folder:
        report.add("idle", "s", [_stop_s(folder, options, 0) for _ in range(options.pairs)])
        busy = [_stop_s(folder, options, LOAD) for _ in range(options.pairs)]
        report.add(f"with {LOAD} rollouts in flight", "s", busy)
    return report


def _stop_s(folder: Path, options: Options, load: int) -> float:
    with (
        mock_endpoint(folder, "--latency-s", str(MODEL_LATENCY_S)) as endpoint,
        gym_run(folder, endpoint.url, *options.overrides) as gym,
    ):
        if not load:
            return _press_ctrl_c(gym)
        with running(drive_command(gym, BUSY_ROLLOUTS, load), folder, "load") as driver:
            time.sleep(_LOAD_FOR_S)
            if driver.poll() is not None:
                raise ProgramError("the load ended before Ctrl-C")
            return _press_ctrl_c(gym)


def _press_ctrl_c(gym: GymRun) -> float:
    began_at = time.monotonic()
    gym.stop()  # returns when every process of the run is gone; what does not go by itself shows as 15 s and more
    return time.monotonic() - began_at
