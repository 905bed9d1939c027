"""First code of every server process: watch for the launcher's end, then run the server's script.

usage: python -m nemo_gym.launch.processes.child (app.py | -m MODULE)
Standard library only: this runs before anything else is imported, in the server's own environment.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import threading

from nemo_gym.config.env_names import LIFELINE_FD_ENV, LISTEN_FDS_ENV, STATUS_FD_ENV

STOP_BUDGET_S = 3


def end_with_launcher(fd: int) -> None:
    """Wait until the launcher's end of the pipe closes, however it died; then end this whole process group.

    SIGTERM may end this process and leave one of its own children that ignores it, so the SIGKILL comes from outside.
    """
    os.read(fd, 1)
    group = os.getpgrp()
    killer = f"sleep {STOP_BUDGET_S}; kill -s KILL -- -{group}"
    subprocess.Popen(["/bin/sh", "-c", killer], start_new_session=True, stderr=subprocess.DEVNULL)
    os.killpg(group, signal.SIGTERM)


def main() -> None:
    """Run the script or module named on the command line as `__main__`."""
    _keep_from_grandchildren()
    fd = os.environ.pop(LIFELINE_FD_ENV, None)
    if fd is not None:
        threading.Thread(target=end_with_launcher, args=(int(fd),), daemon=True).start()
    script, *rest = sys.argv[1:]
    if script == "-m":
        del sys.path[0]  # the current folder: files that happen to be there aren't meant to be imported
        runpy.run_module(rest[0], run_name="__main__")
        return
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")


def _keep_from_grandchildren() -> None:
    # A program that a server starts must not hold the server's sockets, nor look as if the server were still starting.
    listening = json.loads(os.environ.get(LISTEN_FDS_ENV, "{}"))
    single = [int(os.environ[name]) for name in (LIFELINE_FD_ENV, STATUS_FD_ENV) if name in os.environ]
    for fd in [*single, *(fd for fds in listening.values() for fd in fds)]:
        os.set_inheritable(fd, False)


if __name__ == "__main__":
    main()
