"""axe-core finds nothing serious on any page, light and dark; and each page can be looked at afterwards."""

from pathlib import Path

import orjson
import pytest

from benchmarks.measuring.chromium import Page
from benchmarks.measuring.made_rows import STARTED_AT
from tests.browser.axe import axe_program, load_axe, serious_faults
from tests.browser.pictures import take_picture
from tests.browser.test_pages import PAGES
from tests.browser.viewer_process import running_viewer
from tests.made_collections import write_collection

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two collections of the same tasks."""
    write_collection(tmp_path / "data" / "first" / "rollouts.jsonl")
    notes = [
        {"rollout": "3-0", "tags": ["verifier wrong"], "note": "every room is booked", "collection": STARTED_AT},
        {"rollout": "4-1", "tags": ["good"], "note": "", "collection": STARTED_AT, "at": STARTED_AT},
    ]
    (tmp_path / "data" / "first" / "rollouts_notes.jsonl").write_bytes(b"".join(map(_line, notes)))
    write_collection(tmp_path / "data" / "second" / "rollouts.jsonl", skill=0.8, seed=2, left=9)
    return tmp_path / "data"


@pytest.mark.parametrize("width", [1280, 400], ids=["wide", "narrow"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_nothing_serious_on_any_page(page: Page, folder: Path, dark: bool, width: int) -> None:
    program = axe_program()
    await page.look(dark=dark, width=width, height=1000)
    with running_viewer(f"+input={folder}", cwd=folder) as link:
        await page.open(link, "Collections")
        await load_axe(page, program)
        for name, (fragment, heading) in PAGES.items():
            await page.go(fragment, heading)
            if name != "tokens":  # its picture has texts: test_tokens.py
                await take_picture(page, f"{name}{'' if width > 400 else '-narrow'}-{'dark' if dark else 'light'}.png")
            assert await serious_faults(page) == [], name


def _line(note: dict[str, object]) -> bytes:
    return orjson.dumps({"at": STARTED_AT + 60, **note}) + b"\n"
