"""A collection of an agent that costs nothing: how fast it goes, and what that costs the collector and its drivers."""

import contextlib
import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.floor.instant_agent import AGENT
from benchmarks.program import BIN, ProgramError, family_of, running

_SAMPLE_EVERY_S = 0.1


@dataclass(frozen=True)
class DrivenCollection:
    """Rollouts per second while as many are in flight as may be; CPU for each, of the collector and of its drivers."""

    rollouts_per_s: float
    collector_ms: float
    drivers_ms: float


@dataclass(frozen=True)
class _Sample:
    bytes_written: int
    collector_ms: float
    drivers_ms: float


def collect_from(
    port: int, folder: Path, tasks: Path, *, concurrency: int, num_drivers: int, within_s: float
) -> DrivenCollection:
    """Collect a rollout for each task from the instant agent at `port`; raises ProgramError when any is missing."""
    output = folder / f"{tasks.stem}-{time.monotonic_ns()}.jsonl"
    values = {"agent_name": AGENT, "input_jsonl_fpath": tasks, "output_jsonl_fpath": output, "preflight": "false"}
    values |= {"num_samples_in_parallel": concurrency, "num_drivers": num_drivers, "head_server.port": port}
    command = [str(BIN / "ng_collect_rollouts"), *(f"+{name}={value}" for name, value in values.items())]
    with running(command, folder, output.stem) as process:
        samples = list(_samples(process, output, num_drivers if num_drivers > 1 else 0, within_s))
    if process.returncode:
        said = (folder / f"{output.stem}.log").read_text()[-1000:]
        raise ProgramError(f"ng_collect_rollouts ended with status {process.returncode}: {said}")
    journal = output.with_name(f"{output.stem}_journal.jsonl")
    at = sorted(json.loads(line)["at"] for line in journal.read_bytes().splitlines())
    rows = output.read_bytes().count(b"\n")
    if rows != len(at):
        raise ProgramError(f"{rows} rollouts of {len(at)}")
    for left in folder.glob(f"{output.stem}*"):
        left.unlink()
    first, last = samples[0], samples[-1]
    counted = rows * (last.bytes_written - first.bytes_written) / last.bytes_written
    at = at[concurrency:]  # each of these was dispatched when another rollout was done
    return DrivenCollection(
        statistics.linear_regression(at, range(len(at))).slope,  # they come in bursts where verifiers sleep
        (last.collector_ms - first.collector_ms) / counted,
        (last.drivers_ms - first.drivers_ms) / counted,
    )


def _samples(process: "subprocess.Popen[bytes]", output: Path, num_drivers: int, within_s: float) -> Iterator[_Sample]:
    """Sample from the first rollout that is written to the end."""
    deadline = time.monotonic() + within_s
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise ProgramError(f"ng_collect_rollouts was not done within {within_s:g} s")
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            collector, *drivers = (_cpu_ms(one) for one in family_of(process.pid))
            if (size := output.stat().st_size) and len(drivers) == num_drivers:
                yield _Sample(size, collector, sum(drivers))
        time.sleep(_SAMPLE_EVERY_S)


def _cpu_ms(process: psutil.Process) -> float:
    times = process.cpu_times()
    return (times.user + times.system) * 1e3
