"""Run benchmarks by hand: `python -m benchmarks weather --concurrency 1,32 --pairs 5`, `python -m benchmarks all`."""

import argparse
import contextlib
import importlib
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import cast

from benchmarks.contestants.gym_run import Refused
from benchmarks.options import Options
from benchmarks.program import ProgramError
from benchmarks.report import Report

SCENES = (
    "weather",
    "colocated",
    "workers",
    "long_episodes",
    "big_answers",
    "in_flight",
    "big_file",
    "start_up",
    "loop_lag",
    "stop",
    "drivers",
    "growth",
    "nodes",
    "converter",
    "viewer",
)
HAVE_A_MODE = ("weather", "colocated", "workers")
DONE, FAILED, INTERRUPTED = 0, 1, 130


def main() -> int:
    """Run the named scenes one after the other; a scene that fails does not stop the others."""
    names, options = _arguments()
    _allow_many_sockets()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    status = DONE
    try:
        for name in names:
            status = max(status, _run(name, options))
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _run(name: str, options: Options) -> int:
    scene = importlib.import_module(f"benchmarks.scenes.{name}")  # by name: one scene needs not import the others
    try:
        with _within(options.limit_s):
            report = cast(Report, scene.run(options))
    except (ProgramError, Refused, TimeoutError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return FAILED
    if options.colocate and name not in HAVE_A_MODE:
        report.scene += "_colocated"
    report.show()
    sys.stdout.write(f"written: {report.write(options.out)}\n")
    sys.stdout.flush()
    return DONE


def _arguments() -> tuple[list[str], Options]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenes", nargs="+", choices=[*SCENES, "all"], metavar="scene", help=", ".join(SCENES))
    parser.add_argument("--pairs", type=int, default=5, help="measurements of each side (default 5)")
    parser.add_argument("--concurrency", type=_numbers, default=None, help="e.g. 1,32,256,1024")
    parser.add_argument("--rollouts", type=int, default=None, help="rollouts in one measurement")
    parser.add_argument("--tasks", type=int, default=20_000, help="rows of the big file (default 20000)")
    parser.add_argument("--full", action="store_true", help="the big file with its 200,000 rows")
    parser.add_argument("--in-flight", type=int, default=16_384, help="rollouts at once in scene in_flight")
    parser.add_argument("--colocate", action="store_true", help="scenes without a mode of their own run colocated")
    parser.add_argument("--limit-s", type=float, default=3600.0, help="longest one scene may take")
    parser.add_argument("--out", type=Path, default=Path("results/bench"), help="folder of the JSON files")
    a = parser.parse_args()
    tasks = 200_000 if a.full else a.tasks
    options = Options(a.pairs, a.concurrency, a.rollouts, tasks, a.in_flight, a.colocate, a.limit_s, a.out)
    return list(SCENES) if "all" in a.scenes else a.scenes, options


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _allow_many_sockets() -> None:
    # What the programs inherit: 1,024 connections do not fit in the usual soft limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # what was started is being stopped now: bounded, and to be left alone
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    def expired(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done within {seconds:g} s (--limit-s)")

    signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    sys.exit(main())
