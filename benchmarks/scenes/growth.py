"""How far rollouts per second grow with workers whose verifiers take time, and what ends it: 1 to 256, simulated.

The workers only sleep (`benchmarks/floor/sleeping_workers.py`); the collector is the real one. The model is fitted to
the small numbers of workers and to the CPU of a rollout at 64, and predicts the rates.
"""

import statistics
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.measuring.collecting import write_tasks
from benchmarks.measuring.driving import collect_from
from benchmarks.options import Options
from benchmarks.program import free_port, python_module, running, wait_for_port
from benchmarks.report import Report
from benchmarks.workspace import workspace

WORKERS = (1, 4, 16, 64, 128, 256)
OVERHEAD_FROM = 16  # workers at most
CPU_FROM = 64  # workers
PLACES = 8
LATENCY_S = 0.25
DRIVERS = (1, 2, 4)
_SECONDS = 6.0
_MOST_ROLLOUTS = 16_000


@dataclass(frozen=True)
class Measured:
    """One collection: rollouts per second, and CPU of a rollout in ms."""

    workers: int
    rate: float
    collector_ms: float
    drivers_ms: float
    agent_ms: float


@dataclass(frozen=True)
class Model:
    """rate(W) = min(W * places / (latency + overhead), 1 / busiest process, cores / all processes).

    The last two hold on a machine with nothing else to do; a process that gets less than a core reaches less.

    Attributes:
        overhead_s: What a rollout takes beside the verifier's time.
        collector_s: CPU of a rollout in the collector.
        drivers_s: In all drivers together.
        agent_s: In the process that plays the workers.
        num_drivers: Processes that share `drivers_s`.
        cores: Of this machine.
    """

    overhead_s: float
    collector_s: float
    drivers_s: float
    agent_s: float
    num_drivers: int
    cores: int

    def of_workers(self, workers: int) -> float:
        """Return the rate that so many workers allow."""
        return workers * PLACES / (LATENCY_S + self.overhead_s)

    @property
    def of_processes(self) -> float:
        """Return the rate at which the busiest process has no time left."""
        return 1 / max(self.collector_s, self.drivers_s / self.num_drivers, self.agent_s)

    @property
    def of_cores(self) -> float:
        """Return the rate at which no core has time left."""
        return self.cores / (self.collector_s + self.drivers_s + self.agent_s)

    def rate(self, workers: int) -> float:
        """Return the rollouts per second that are expected."""
        return min(self.of_workers(workers), self.of_processes, self.of_cores)


def run(options: Options) -> Report:
    """Measure every number of workers with one driver and with several; compare with the model."""
    report = Report("growth", f"{PLACES} verifications at once at each worker, {LATENCY_S:g} s each")
    with workspace() as folder:
        for num_drivers in DRIVERS:
            found = [
                [_measure(folder, workers, num_drivers, options) for _ in range(options.pairs)] for workers in WORKERS
            ]
            _tell(report, found, num_drivers)
    return report


def _tell(report: Report, found: list[list[Measured]], num_drivers: int) -> None:
    small = [one for each in found for one in each if one.workers <= OVERHEAD_FROM]
    busy = [one for each in found for one in each if one.workers == CPU_FROM]
    model = Model(
        statistics.median(one.workers * PLACES / one.rate for one in small) - LATENCY_S,
        statistics.median(one.collector_ms for one in busy) / 1e3,
        statistics.median(one.drivers_ms for one in busy) / 1e3,
        statistics.median(one.agent_ms for one in busy) / 1e3,
        num_drivers,
        psutil.cpu_count() or 1,
    )
    name = "one process" if num_drivers == 1 else f"{num_drivers} drivers"
    for each in found:
        workers, rates = each[0].workers, [one.rate for one in each]
        expected = [model.rate(workers)] * len(each)
        report.compare(f"{name}, {workers} workers", "rollouts/s", rates, expected, "predicted", "higher")
        busiest = [one.rate * max(one.collector_ms, one.drivers_ms / num_drivers, one.agent_ms) / 1e3 for one in each]
        report.add(f"{name}, {workers} workers: what the busiest process had", "cores", busiest)
    for what in ("collector_ms", "drivers_ms", "agent_ms"):
        for each in (busy, found[-1]):
            values = [getattr(one, what) for one in each]
            report.add(f"{name}, {each[0].workers} workers: CPU of a rollout, {what[:-3]}", "ms", values)
    report.note(
        f"{name}: overhead {model.overhead_s * 1e3:.0f} ms; predicted ceilings in rollouts/s: "
        f"{model.of_processes:.0f} by the busiest process, {model.of_cores:.0f} by {model.cores} cores"
    )


def _measure(folder: Path, workers: int, num_drivers: int, options: Options) -> Measured:
    port, in_flight = free_port(), 2 * workers * PLACES
    count = in_flight + min(int(_SECONDS * workers * PLACES / LATENCY_S), options.rollouts or _MOST_ROLLOUTS)
    tasks = write_tasks(folder / "tasks.jsonl", count)
    arguments = ("--port", port, "--workers", workers, "--places", PLACES, "--latency-s", LATENCY_S)
    with running(
        python_module("benchmarks.floor.sleeping_workers", *map(str, arguments)), folder, f"workers-{port}"
    ) as agent:
        wait_for_port(port, agent)
        process = psutil.Process(agent.pid)
        before = sum(process.cpu_times()[:2])
        done = collect_from(
            port, folder, tasks, concurrency=in_flight, num_drivers=num_drivers, within_s=options.limit_s
        )
        agent_s = sum(process.cpu_times()[:2]) - before
    return Measured(workers, done.rollouts_per_s, done.collector_ms, done.drivers_ms, agent_s * 1e3 / count)
