"""Every page of the built documentation in a real browser: wide and narrow, light and dark."""

import contextlib
import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.measuring.chromium import Page
from tests.browser.axe import axe_program, load_axe, serious_faults

pytestmark = [pytest.mark.site, pytest.mark.timeout(1200)]

SITE = Path(__file__).parents[2] / "build/docs"
SCREENSHOTS_ENV = "NEMO_GYM_SITE_SCREENSHOTS"
"""A folder to write a picture of every page in every form to; unset: none are written."""
FORMS = {
    "wide-light": (1280, False),
    "wide-dark": (1280, True),
    "narrow-light": (400, False),
    "narrow-dark": (400, True),
}
CHECKED_FORMS = ("wide-dark", "narrow-light")
"""Both widths and both colors: axe-core takes a second for a page. The home page is checked in every form."""
_LOADED = "document.readyState === 'complete' && location.href === {url!r}"
_BROKEN = "[...document.images].filter((one) => !one.complete || !one.naturalWidth).map((one) => one.src)"
_BACKGROUND = "getComputedStyle(document.body).backgroundColor"


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for each request."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback; yield its address."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def page_names() -> list[str]:
    """Every page of the site."""
    assert SITE.is_dir(), "the site isn't built: make docs"
    return sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if "_static" not in path.parts)


async def test_every_page_is_whole_in_every_form(page: Page) -> None:
    await page.call("Network.enable")
    found, backgrounds = list[str](), set[tuple[bool, str]]()
    with served(SITE) as address:
        for form, (width, is_dark) in FORMS.items():
            await page.look(dark=is_dark, width=width)
            for name in page_names():
                await _open(page, f"{address}/{name}")
                found += [f"{name}, {form}: {problem}" for problem in page.problems]
                page.problems.clear()
                found += [f"{name}, {form}: broken picture {one}" for one in await page.evaluate(_BROKEN)]
                needed = await page.evaluate("document.documentElement.scrollWidth")
                if needed > width:
                    found.append(f"{name}, {form}: {needed} px wide")
                backgrounds.add((is_dark, await page.evaluate(_BACKGROUND)))
                await _take_picture(page, f"{name.removesuffix('.html').replace('/', '-')}-{form}.png")
    assert found == [], "\n".join(found)
    assert len(backgrounds) == 2, "light and dark have a background each"


async def test_axe_finds_nothing_serious_on_any_page(page: Page) -> None:
    program, found = axe_program(), list[str]()
    with served(SITE) as address:
        for form, (width, is_dark) in FORMS.items():
            await page.look(dark=is_dark, width=width)
            for name in page_names() if form in CHECKED_FORMS else ["index.html"]:
                await _open(page, f"{address}/{name}")
                await load_axe(page, program)
                found += [f"{name}, {form}: {fault}" for fault in await serious_faults(page)]
    assert found == [], "\n".join(found)


async def test_a_search_finds_a_page(page: Page) -> None:
    with served(SITE) as address:
        await page.call("Page.navigate", url=f"{address}/search.html?q=reverify")
        await page.wait_for("document.querySelectorAll('#search-results li a').length > 0")
    assert page.problems == []


async def _open(page: Page, url: str) -> None:
    await page.call("Page.navigate", url=url)
    await page.wait_for(_LOADED.format(url=url))


async def _take_picture(page: Page, name: str) -> None:
    folder = os.environ.get(SCREENSHOTS_ENV)
    if folder:
        await page.screenshot(Path(folder) / name)
