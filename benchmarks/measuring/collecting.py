"""`ng_collect_rollouts` as a running program, its memory watched."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.contestants.gym_run import AGENT, GymRun
from benchmarks.measuring.drive import ROW
from benchmarks.measuring.memory import MB
from benchmarks.program import BIN, ProgramError, running

SAMPLE_EVERY_S = 0.25


@dataclass(frozen=True)
class Collected:
    """A collection: how long it took, the rollouts it wrote, and samples of (seconds, RSS in MB, bytes written)."""

    seconds: float
    rollouts: int
    status: int
    samples: tuple[tuple[float, float, int], ...]

    @property
    def peak_mb(self) -> float:
        """Highest RSS sampled."""
        return max((rss for _, rss, _ in self.samples), default=0.0)

    def rss_between(self, low: float, high: float) -> float:
        """Return the mean RSS (MB) while the share of the output written went from `low` to `high`, both in [0, 1]."""
        written = self.samples[-1][2] or 1
        inside = [rss for _, rss, size in self.samples if low <= size / written <= high]
        return sum(inside) / len(inside) if inside else float("nan")


def write_tasks(path: Path, count: int) -> Path:
    """Write the weather row `count` times, numbered, and return the path."""
    row = ROW.read_text().strip().removesuffix("}")
    with path.open("w") as file:
        for number in range(count):
            file.write(f'{row}, "number": {number}}}\n')
    return path


def collect(run: GymRun, folder: Path, tasks: Path, *, in_flight: int, within_s: float) -> Collected:
    """Collect one rollout for each task; raises ProgramError when that takes longer than `within_s`."""
    output = folder / f"{tasks.stem}-{time.monotonic_ns()}.jsonl"
    values = [
        f"agent_name={AGENT}",
        f"input_jsonl_fpath={tasks}",
        f"output_jsonl_fpath={output}",
        f"num_samples_in_parallel={in_flight}",
        f"head_server.port={run.head_port}",
    ]
    began_at = time.monotonic()
    with running([str(BIN / "ng_collect_rollouts"), *(f"+{v}" for v in values)], folder, output.stem) as process:
        samples = tuple(_samples(process, output, began_at, within_s))
        seconds = time.monotonic() - began_at
        status = process.returncode
    rollouts = _lines(output)
    for left in folder.glob(f"{output.stem}*.jsonl"):
        left.unlink()
    return Collected(seconds, rollouts, status, samples)


def _samples(
    process: subprocess.Popen[bytes], output: Path, began_at: float, within_s: float
) -> Iterator[tuple[float, float, int]]:
    collector = psutil.Process(process.pid)
    while True:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            yield time.monotonic() - began_at, collector.memory_info().rss / MB, output.stat().st_size
        try:
            process.wait(SAMPLE_EVERY_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() - began_at > within_s:
                raise ProgramError(f"ng_collect_rollouts was not done within {within_s:g} s") from None
            continue
        return


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)
