"""First code of every server process: watch for the launcher's end, then run the server's script.

usage: python -m nemo_gym.launch.child app.py
Standard library only: this runs before anything else is imported, in the server's own environment.
"""

import os
import runpy
import signal
import sys
import threading
import time

PARENT_FD_ENV = "NEMO_GYM_PARENT_FD"
STOP_BUDGET_S = 3.0


def end_with_parent(fd: int) -> None:
    """Wait until the launcher's end of the pipe closes, however it died; then end this whole process group."""
    os.set_inheritable(fd, False)
    os.read(fd, 1)
    os.killpg(0, signal.SIGTERM)
    time.sleep(STOP_BUDGET_S)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Run the script named on the command line as `__main__`."""
    fd = os.environ.pop(PARENT_FD_ENV, None)
    if fd is not None:
        threading.Thread(target=end_with_parent, args=(int(fd),), daemon=True).start()
    script = sys.argv[1]
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
