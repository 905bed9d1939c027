"""The code and the commands of docs/testing-environments.md and docs/checking-environments.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import COMMAND_BOUND_S, ROOT, Command

pytestmark = pytest.mark.integration
PAGES = {"testing-environments": 7, "checking-environments": 2}


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / f"docs/{page}.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize(("page", "tests"), PAGES.items())
def test_the_python_blocks_of_a_page_are_tests_that_pass(page: str, tests: int, tmp_path: Path) -> None:
    (tmp_path / "test_page.py").write_text("\n\n".join(blocks(page, "python")))
    options = ("-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_page.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=COMMAND_BOUND_S,
        check=False,
    )
    assert f"{tests} passed" in done.stdout, done.stdout + done.stderr


def test_the_commands_of_the_page_check_the_example(command: Command, project: Path) -> None:
    (block,) = blocks("checking-environments", "bash")
    for line in block.splitlines():
        done = command(*line.split())
        assert done.status == 0, done.out + done.err
    assert (project / "results/check.json").is_file()
