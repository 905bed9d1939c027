"""The driver as a program: the same for ours and for the floor."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants.contestant import Contestant
from benchmarks.program import ProgramError, environment, home_in, python_module

ROW = Path(__file__).parents[1] / "floor" / "weather_row.json"
DRIVE_WITHIN_S = 600.0


@dataclass(frozen=True)
class Driven:
    """Figures of one measurement; `bad` counts answers without status 200 and reward 1."""

    rollouts_per_s: float
    p50_ms: float
    p99_ms: float
    bad: int
    first_bad: str
    answer_bytes: int
    peak_rss_mb: float


def drive_command(contestant: Contestant, count: int, concurrency: int, warm_up: int = 50) -> list[str]:
    """Return the command that posts `count` rollouts, `concurrency` at a time, after a warm-up that is not counted."""
    headers = [part for name, value in contestant.headers.items() for part in ("--header", f"{name}={value}")]
    arguments = [contestant.run_url, str(ROW), str(count), str(concurrency), "--warm-up", str(warm_up), *headers]
    return python_module("benchmarks.floor.drive", *arguments)


def drive(contestant: Contestant, folder: Path, count: int, concurrency: int, warm_up: int = 50) -> Driven:
    """Run that command to its end; raises ProgramError when the driver itself fails."""
    done = subprocess.run(
        drive_command(contestant, count, concurrency, warm_up),
        cwd=folder,
        env=environment(home_in(folder)),
        capture_output=True,
        text=True,
        timeout=DRIVE_WITHIN_S,
        check=False,
    )
    if done.returncode:
        raise ProgramError(f"the driver failed: {done.stderr[-1000:]}")
    return Driven(**json.loads(done.stdout.splitlines()[-1]))
