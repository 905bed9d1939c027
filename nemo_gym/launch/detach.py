"""A run in the background: a launcher in a session of its own, its output in the run directory.

The launcher is a fork of this process, so no setting travels on a command line. It reports over a pipe how its
start ended.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel

from nemo_gym.launch.run_directory import RunDirectory
from nemo_gym.servers.runs.record import ServerInstanceState

_POLL_S = 0.05


class StartReport(BaseModel):
    """How the start of a background launcher ended. `exit_status` 0: it is up; `error` is empty then."""

    exit_status: int
    error: str = ""
    servers: list[ServerInstanceState] = []


class StartReporter:
    """The launcher's end of the pipe."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send(self, report: StartReport) -> None:
        """Tell how the start ended, once; BrokenPipeError when nobody waits for it any more."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with os.fdopen(fd, "w") as pipe:
                pipe.write(report.model_dump_json())


def start_in_background(run: Callable[[RunDirectory, StartReporter], int], stop_timeout_s: float) -> StartReport:
    """Run `run` in a background process; return what it reported, when it did.

    Interrupted while it waits, or told of a failure, it ends the background process before it returns.

    Args:
        run: Runs the servers until stopped; sends one report; returns an exit status.
        stop_timeout_s: How long the background process may take to stop.
    """
    directory = RunDirectory()
    reading, writing = os.pipe()
    sys.stdout.flush()  # what is buffered here would otherwise be written twice
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _become_launcher(directory, StartReporter(writing), run)
    os.close(writing)
    text = ""
    try:
        with os.fdopen(reading) as pipe:
            text = pipe.read()
    finally:
        report = StartReport.model_validate_json(text) if text else _unreported(directory.launcher_log)
        if report.exit_status:
            _end(pid, stop_timeout_s)
    return report


def _become_launcher(
    directory: RunDirectory, reporter: StartReporter, run: Callable[[RunDirectory, StartReporter], int]
) -> NoReturn:
    status = 1
    try:
        os.setsid()
        _redirect(directory.launcher_log)
        status = run(directory, reporter)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # the clean-up handlers belong to the caller


def _redirect(log_path: Path) -> None:
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(nothing)


def _unreported(log_path: Path) -> StartReport:
    output = log_path.read_text(errors="replace").strip() if log_path.exists() else ""
    return StartReport(exit_status=1, error=f"the background launcher ended (log: {log_path})\n{output[-2000:]}")


def _end(pid: int, stop_timeout_s: float) -> None:
    deadline = time.monotonic() + stop_timeout_s + 1.0
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGTERM)
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL_S)
