"""The Python of the documentation, run as a reader would: each block in a fresh interpreter, in an empty folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bounds import HANGS_AFTER_S

ROOT = Path(__file__).parents[2]
PAGES = ("docs/from-python.md",)


def blocks() -> list[object]:
    found = [(page, block) for page in PAGES for block in python_blocks(page)]
    return [pytest.param(block, id=f"{page}-{number}") for number, (page, block) in enumerate(found)]


def python_blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("block", blocks())
def test_a_block_runs_and_prints_something(block: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=HANGS_AFTER_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_python_to_run(page: str) -> None:
    assert python_blocks(page)
