"""The process of a viewer beside a command."""

import os
import signal
import sys
import threading
from pathlib import Path

from nemo_gym.viewer.serving.server import serve_viewer

_NICENESS = 10


def main(path: str) -> None:
    """Serve until the command that started this process closes the pipe, however it ends."""
    os.nice(_NICENESS)  # what is collected goes first
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve_viewer(Path(path), 0, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201


def _end_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
