"""axe-core, which finds what keeps people from using a page."""

import os
from pathlib import Path

import pytest

from benchmarks.measuring.chromium import Page

AXE_ENV = "NEMO_GYM_AXE_CORE"
"""Path of axe.min.js, from the npm package axe-core."""

_RUN = """axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations
    .filter((one) => one.impact === "serious" || one.impact === "critical")
    .map((one) => `${one.id}: ${one.nodes[0].html.slice(0, 200)} ${one.nodes[0].failureSummary}`))"""


def axe_program() -> str:
    """Return axe-core's program; the test is skipped, by name, where there is none."""
    path = Path(os.environ.get(AXE_ENV, ""))
    if not path.is_file():
        pytest.skip(f"axe-core isn't there (npm install axe-core, then {AXE_ENV}=…/axe.min.js)")
    return path.read_text()


async def load_axe(page: Page, program: str) -> None:
    """Make axe-core part of the page that is open."""
    await page.evaluate(program + "; 0")


async def serious_faults(page: Page) -> list[str]:
    """What axe-core calls serious or critical on the page, each with an element."""
    found: list[str] = await page.evaluate(_RUN)
    return found
