"""A browser for each test; the tests are skipped, by name, where there is none."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from benchmarks.measuring.chromium import Page, chromium_page, find_chromium


@pytest_asyncio.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A tab of a fresh browser."""
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium isn't installed (apt-get install chromium)")
    async with chromium_page(program, tmp_path / "profile") as found:
        yield found
