"""A collection watched in a browser from its first row to its last, while a server and the collector are killed."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.measuring.chromium import chromium_page, find_chromium
from tests.browser.viewer_process import running_viewer
from tests.chaos.conftest import MakeCollector
from tests.chaos.invariants import check_output
from tests.chaos.processes import Endpoint, Run

EXPECTED = 60
_SETTLED = "Number(document.querySelector('.figure .value')?.textContent.split(' ')[0] ?? -1)"
_STATE = "document.querySelector('main .label')?.textContent"


async def test_a_page_follows_a_collection_through_kills_and_a_resume(
    run: Run, endpoint: Endpoint, collector: MakeCollector, tmp_path: Path
) -> None:
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium isn't installed (apt-get install chromium)")
    endpoint.set_faults({"kind": "slow", "latency_s": 0.15})
    collecting = collector(EXPECTED, "+num_samples_in_parallel=4")
    collecting.output.parent.mkdir(exist_ok=True)
    with running_viewer(f"+input={collecting.output}", cwd=tmp_path) as link:
        async with chromium_page(program, tmp_path / "profile") as page:
            await page.open(link, "Collections")
            await page.go("#/overview?c=r.jsonl", "r.jsonl")
            assert await page.evaluate(_STATE) == "missing"
            process = collecting.start()
            await page.wait_for(f"{_SETTLED} >= 3 && {_STATE} === 'running'")
            await asyncio.to_thread(run.kill, "policy_model")
            await page.wait_for(f"{_SETTLED} >= 15")
            process.kill()
            process.wait()
            await page.wait_for(f"{_STATE} === 'cut off'")
            assert await asyncio.to_thread(collecting.run) == 0, collecting.said()
            await page.wait_for(f"{_SETTLED} === {EXPECTED} && {_STATE} === 'complete'")
            assert page.problems == []
    assert check_output(collecting.output, EXPECTED).scored == EXPECTED
