"""Pictures of the viewer's pages for its documentation."""

import os
from pathlib import Path

from PIL import Image

from benchmarks.measuring.chromium import Page

SCREENSHOTS_ENV = "NEMO_GYM_VIEWER_SCREENSHOTS"
"""A folder to write a picture of every page to; unset: none are written."""


async def take_picture(page: Page, name: str) -> None:
    """Write what is on the screen, small enough for the documentation to carry it."""
    folder = os.environ.get(SCREENSHOTS_ENV)
    if folder:
        path = Path(folder) / f"viewer-{name}"
        # Where the collections are differs from test to test; the pictures are to differ only where the page does.
        await page.evaluate("for (const one of document.querySelectorAll('main p .mono')) one.textContent = 'results'")
        await page.screenshot(path)
        with Image.open(path) as picture:
            small = picture.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
