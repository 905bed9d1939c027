"""`ng_viewer` as people start it: a process that prints a link."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bounds import HANGS_AFTER_S

_START = "from nemo_gym.commands.console import ng_viewer; ng_viewer()"


@contextlib.contextmanager
def running_viewer(*arguments: str, cwd: Path) -> Iterator[str]:
    """Start the viewer and yield its link; stop it with SIGTERM afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-c", _START, *arguments], cwd=cwd, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("viewer: http://127.0.0.1:"), line
        yield line.removeprefix("viewer: ").strip()
    finally:
        process.terminate()
        process.wait(HANGS_AFTER_S)
        process.stdout.close()
