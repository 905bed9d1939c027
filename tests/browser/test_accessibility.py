"""axe-core finds nothing serious on any page, light and dark; and each page can be looked at afterwards."""

import os
from pathlib import Path

import pytest

from tests.browser.chromium import Page
from tests.browser.test_pages import PAGES
from tests.browser.viewer_process import running_viewer
from tests.made_collections import write_collection

pytestmark = pytest.mark.integration

AXE_ENV = "NEMO_GYM_AXE_CORE"
"""Path of axe.min.js, from the npm package axe-core."""
SCREENSHOTS_ENV = "NEMO_GYM_VIEWER_SCREENSHOTS"
"""A folder to write a picture of every page to; unset: none are written."""

_RUN = """axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations
    .filter((one) => one.impact === "serious" || one.impact === "critical")
    .map((one) => `${one.id}: ${one.nodes[0].html.slice(0, 200)} ${one.nodes[0].failureSummary}`))"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two collections of the same tasks."""
    write_collection(tmp_path / "data" / "first" / "rollouts.jsonl")
    write_collection(tmp_path / "data" / "second" / "rollouts.jsonl", skill=0.8, seed=2, left=9)
    return tmp_path / "data"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_nothing_serious_on_any_page(page: Page, folder: Path, dark: bool) -> None:
    axe = Path(os.environ.get(AXE_ENV, ""))
    if not axe.is_file():
        pytest.skip(f"axe-core isn't there (npm install axe-core, then {AXE_ENV}=…/axe.min.js)")
    await page.look(dark=dark, height=1000)
    with running_viewer(f"+input={folder}", cwd=folder) as link:
        await page.open(link, "Collections")
        await page.evaluate(axe.read_text() + "; 0")
        for name, (fragment, heading) in PAGES.items():
            await page.go(fragment, heading)
            await _take_picture(page, f"{name}-{'dark' if dark else 'light'}.png")
            assert await page.evaluate(_RUN) == [], name


async def _take_picture(page: Page, name: str) -> None:
    folder = os.environ.get(SCREENSHOTS_ENV)
    if folder:
        await page.screenshot(Path(folder) / name)
