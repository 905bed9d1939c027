"""Rollouts per second of ours against one or more floors, at several concurrencies."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.contestants.contestant import Contestant, alternate
from benchmarks.contestants.endpoint import mock_endpoint
from benchmarks.contestants.floor_run import FloorRun
from benchmarks.contestants.gym_run import OURS, Refused, gym_run
from benchmarks.measuring.drive import Driven, drive
from benchmarks.options import Options
from benchmarks.report import Report
from benchmarks.workspace import workspace

CONCURRENCY = (1, 32, 256, 1024)
Floor = Callable[[Path, str], AbstractContextManager[FloorRun]]


def compare_throughput(report: Report, options: Options, floors: list[Floor], *overrides: str) -> Report:
    """Fill `report` with one comparison for each concurrency and floor; `overrides` are for `ng_run`."""
    with workspace() as folder, contextlib.ExitStack() as stack:
        endpoint = stack.enter_context(mock_endpoint(folder))
        try:
            ours = stack.enter_context(gym_run(folder, endpoint.url, *overrides))
        except Refused as error:
            report.refused = str(error)
            return report
        contestants: list[Contestant] = [ours]
        contestants += [stack.enter_context(floor(folder, endpoint.url)) for floor in floors]
        report.note(f"processes: {_process_counts(contestants)}")
        for concurrency in options.concurrency or CONCURRENCY:
            _compare_at(report, options, folder, contestants, concurrency)
    return report


def _compare_at(
    report: Report, options: Options, folder: Path, contestants: list[Contestant], concurrency: int
) -> None:
    count = options.rollouts_at(concurrency)
    found = alternate(contestants, options.pairs, lambda one: drive(one, folder, count, concurrency))
    note_bad(report, found)
    ours = [driven.rollouts_per_s for driven in found[OURS]]
    for name in found:
        if name != OURS:
            base = [driven.rollouts_per_s for driven in found[name]]
            report.compare(f"concurrency {concurrency}", "rollouts/s", ours, base, name, "higher")
    report.add(f"concurrency {concurrency}: p99 of one rollout", "ms", [driven.p99_ms for driven in found[OURS]])


def _process_counts(contestants: list[Contestant]) -> str:
    return "; ".join(f"{one.name}: {len(one.processes())} ({', '.join(one.processes())})" for one in contestants)


def note_bad(report: Report, found: dict[str, list[Driven]]) -> None:
    """Say in the report when answers were bad: such a figure does not count."""
    for name, measured in found.items():
        bad = [driven for driven in measured if driven.bad]
        if bad:
            total = sum(driven.bad for driven in bad)
            report.note(f"{name}: {total} bad answers in {len(bad)} measurements, the first: {bad[0].first_bad}")
