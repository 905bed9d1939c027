"""The folder a scene works in: logs and the home of its runs; removed at the end."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """Yield an empty folder."""
    with tempfile.TemporaryDirectory(prefix="gym-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
