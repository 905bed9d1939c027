"""A collection watched in a browser from its first row to its last, while a server and the collector are killed."""

import asyncio
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from benchmarks.measuring.chromium import Page, chromium_page, find_chromium
from tests.browser.viewer_process import running_viewer
from tests.chaos.conftest import MakeCollector
from tests.chaos.invariants import check_output
from tests.chaos.processes import Collector, Endpoint, Run

EXPECTED = 60
_SETTLED = "Number(document.getElementById('settled')?.textContent ?? -1)"
_STATE = "document.querySelector('main .label')?.textContent"
_RECORD = """globalThis.seen = [];
new MutationObserver(() => {
  const state = document.querySelector("main .label")?.textContent;
  const settled = document.getElementById("settled")?.textContent;
  if (state && settled !== undefined) seen.push([state, Number(settled)]);
}).observe(document.querySelector("main"), {childList: true, subtree: true, characterData: true})"""
_FIGURES = "document.querySelector('main .figures').textContent"
_COUNTS = "document.querySelector('main .outcomes + .legend').textContent"


async def test_a_page_follows_a_collection_through_kills_and_a_resume(
    run: Run, endpoint: Endpoint, collector: MakeCollector, tmp_path: Path
) -> None:
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium isn't installed (apt-get install chromium)")
    endpoint.set_faults({"kind": "slow", "latency_s": 0.25})
    collecting = collector(EXPECTED, "+num_samples_in_parallel=4")
    collecting.output.parent.mkdir(exist_ok=True)
    with running_viewer(f"+input={collecting.output}", cwd=tmp_path) as link:
        async with chromium_page(program, tmp_path / "profile") as page:
            await page.open(link, "Collections")
            await page.go("#/overview?c=r.jsonl", "r.jsonl")
            await page.evaluate(_RECORD)
            assert await page.evaluate(_STATE) == "missing"
            await _collect_with_kills(page, run, collecting)
            seen = await page.evaluate("seen")
            assert await page.evaluate(_COUNTS) == f"{EXPECTED} scored"
            assert page.problems == []
    states = [state for state, _ in groupby(state for state, _ in seen)]
    assert [state for state in states if state != "missing"] == ["running", "cut off", "running", "complete"]
    counts = [settled for _, settled in seen]
    assert all(before <= after for before, after in pairwise(counts)), counts
    assert check_output(collecting.output, EXPECTED).scored == EXPECTED


async def _collect_with_kills(page: Page, run: Run, collecting: Collector) -> None:
    process = collecting.start()
    await page.wait_for(f"{_SETTLED} >= 3 && {_STATE} === 'running'")
    before = await page.evaluate(_SETTLED)
    await asyncio.to_thread(run.kill, "policy_model")
    await page.wait_for(f"{_SETTLED} > {before} && {_FIGURES}.includes('settled, last minute')")
    process.kill()
    process.wait()
    await page.wait_for(f"{_STATE} === 'cut off'")
    assert await asyncio.to_thread(collecting.run) == 0, collecting.said()
    await page.wait_for(f"{_SETTLED} === {EXPECTED} && {_STATE} === 'complete'")
