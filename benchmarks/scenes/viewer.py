"""The viewer with a large collection in a real browser, and what it costs beside one that grows."""

import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from benchmarks.measuring.chromium import Page, chromium_page, find_chromium
from benchmarks.measuring.cpu import cpu_ms
from benchmarks.measuring.growing import growing, write_rollouts
from benchmarks.measuring.memory import MB, held_by
from benchmarks.options import Options
from benchmarks.program import ProgramError, running
from benchmarks.report import Report
from benchmarks.workspace import workspace

GROWS_BY = 125.0
GROWS_FROM = (5_000, 50_000)
WATCHED_S = 40.0
_START = "from nemo_gym.commands.console import ng_viewer; ng_viewer()"
_NAME = "rollouts.jsonl"
_LINK = re.compile(r"viewer: (\S+)")
_PAGES = {
    "the table of rollouts": ("rollouts", "Rollouts"),
    "a filter by numbers": ("rollouts", "Rollouts", "q=reward%3C1+steps%3E%3D3"),
    "an order by a number": ("rollouts", "Rollouts", "sort=output_tokens&desc=1"),
    "another page of the table": ("rollouts", "Rollouts", "sort=output_tokens&desc=1&offset=5000"),
    "a rollout": ("rollout", "Rollout 5-0", "r=5-0"),
    "its raw line": ("rollout", "Rollout 5-0", "r=5-0&view=raw"),
    "a task": ("task", "Task 7", "t=7"),
    "the table of tasks": ("tasks", "Tasks", "sort=spread&desc=1"),
    "words in every line": ("rollouts", "Rollouts", "q=nothing-says-this"),
}


def run(options: Options) -> Report:
    """Open a collection of `options.tasks` rollouts, then watch small ones grow."""
    program = find_chromium()
    if program is None:
        raise ProgramError("Chromium isn't installed (apt-get install chromium)")
    report = Report("viewer", f"{options.tasks} rollouts; then {GROWS_BY:g} more a second")
    with workspace() as folder:
        path = folder / "large" / _NAME
        path.parent.mkdir()
        write_rollouts(path, options.tasks, options.tasks)
        report.add("rollout file", "GB", [path.stat().st_size / 1e9])
        asyncio.run(_large(program, folder, path, report))
        path.unlink()
        for rows in GROWS_FROM:
            asyncio.run(_beside(program, folder, rows, report))
    return report


async def _large(program: str, folder: Path, path: Path, report: Report) -> None:
    async with chromium_page(program, folder / "profile") as page:
        with _viewer(folder, path, "first") as (link, process):
            await page.open(link, "Collections")
            fragment = f"#/overview?c={_NAME}"
            report.add("first paint of the overview", "s", [await _timed(partial(page.go, fragment, _NAME))])
            began_at = time.monotonic()
            await _until_read(page, fragment)
            report.add("read once: wall time", "s", [time.monotonic() - began_at])
            report.add("read once: processor time", "s", [cpu_ms({"": process})[""] / 1e3])
        with _viewer(folder, path, "again") as (link, process):
            await page.open(link, "Collections")
            seconds = await _timed(partial(_until_read, page, fragment))
            report.add("the overview the next time", "s", [seconds])
            for label, (name, heading, *more) in _PAGES.items():
                where = f"#/{name}?c={_NAME}&{'&'.join(more)}"
                report.add(label, "s", [await _timed(partial(page.go, where, heading))])
            report.add("memory of the server (USS)", "MB", [held_by(process).uss_mb])
            report.add("heap of the tab", "MB", [await page.memory_bytes() / MB])


async def _until_read(page: Page, fragment: str) -> None:
    """Open the overview until it is of the whole file."""
    while True:
        await page.go(fragment, _NAME)
        if not await page.evaluate("document.getElementById('reading') !== null"):
            return
        await asyncio.sleep(1)


async def _beside(program: str, folder: Path, rows: int, report: Report) -> None:
    path = folder / f"growing-{rows}" / _NAME
    path.parent.mkdir()
    write_rollouts(path, rows, expected=rows + int(WATCHED_S * GROWS_BY * 10))
    async with chromium_page(program, folder / f"profile-{rows}") as page:
        with _viewer(folder, path, f"beside-{rows}") as (link, process):
            await page.open(link, "Collections")
            await _until_read(page, f"#/overview?c={_NAME}")
            idle = await _share_of_core(process)
            with growing(path, rows, GROWS_BY):
                busy = await _share_of_core(process)
            report.add(f"beside a collection that grows from {rows} rollouts on", "% of a core", [busy])
            report.add(f"the same, when it has {rows} and stays so", "% of a core", [idle])
    path.unlink()


async def _share_of_core(process: psutil.Process) -> float:
    """Return the processor time that the server uses, with a page open, in percent of one core."""
    await asyncio.sleep(5)
    before, began_at = cpu_ms({"": process})[""], time.monotonic()
    await asyncio.sleep(WATCHED_S)
    return (cpu_ms({"": process})[""] - before) / 10 / (time.monotonic() - began_at)


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    began_at = time.monotonic()
    await work()
    return time.monotonic() - began_at


@contextmanager
def _viewer(folder: Path, path: Path, log_name: str) -> Iterator[tuple[str, psutil.Process]]:
    command = [sys.executable, "-c", _START, f"+input={path}"]
    with running(command, folder, log_name) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = _LINK.search((folder / f"{log_name}.log").read_text())
            if found:
                yield found[1], psutil.Process(process.pid)
                return
            time.sleep(0.05)
        raise ProgramError(f"ng_viewer printed no link: {(folder / f'{log_name}.log').read_text()}")
