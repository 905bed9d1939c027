"""A viewer beside a command that collects or runs: a process of its own, which ends with the command."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_MAIN = "import sys; from nemo_gym.viewer.serving.child import main; main(sys.argv[1])"
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
