"""A viewer beside a command that collects or runs: a process of its own, which ends with the command."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from nemo_gym.viewer.serving.server import serve_viewer

_MAIN = "import sys; from nemo_gym.viewer.serving.beside import main; main(sys.argv[1])"
_NICENESS = 10
_STOP_S = 5.0


@contextlib.contextmanager
def viewer_beside(path: Path | None) -> Iterator[None]:
    """Show a rollout file, which may not be there yet, or a folder, until the block ends; None shows nothing.

    The link is printed on standard error as soon as the viewer listens.
    """
    if path is None:
        yield
        return
    # A session of its own: Ctrl-C is for the command, and the viewer stays until the last rollout is written.
    viewer = subprocess.Popen([sys.executable, "-c", _MAIN, str(path)], stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        assert viewer.stdin is not None
        viewer.stdin.close()
        try:
            viewer.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            viewer.kill()
            viewer.wait()


def main(path: str) -> None:
    """Serve until the command that started this process closes the pipe, however it ends."""
    os.nice(_NICENESS)  # what is collected goes first
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve_viewer(Path(path), 0, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201


def _end_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
