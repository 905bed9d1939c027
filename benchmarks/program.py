"""A program that a benchmark starts: in its own process group, its output in a file, stopped whatever happens."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LISTEN_WITHIN_S = 30.0
STOP_WITHIN_S = 15.0
_POLL_S = 0.02


class ProgramError(Exception):
    """A program of the benchmark did not do what it was started for."""


def free_port() -> int:
    """Return a port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command line of a module of ours."""
    return [sys.executable, "-m", module, *arguments]


def home_in(folder: Path) -> Path:
    """Return the home of the runs whose programs work in `folder`."""
    return folder / "home"


def environment(home: Path) -> dict[str, str]:
    """Return the environment of every program: a home of its own, this project and this Python first."""
    paths = {"NEMO_GYM_HOME": str(home), "PYTHONPATH": str(ROOT), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return {**os.environ, **paths}


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path, log_name: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program for as long as the context lasts; its output goes to `<folder>/<log_name>.log`."""
    with (folder / f"{log_name}.log").open("ab") as log:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=environment(home_in(folder)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A Ctrl-C at the terminal reaches the benchmark only, which then stops its programs in order.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> None:
    """Stop a program and everything below it: the signal first, SIGKILL for what is left after `STOP_WITHIN_S`."""
    family = family_of(process.pid)
    with contextlib.suppress(ProcessLookupError):
        if process.poll() is None:
            process.send_signal(number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_WITHIN_S)
    _, left = psutil.wait_procs(family, timeout=STOP_WITHIN_S if process.poll() is not None else 0)
    for survivor in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            survivor.kill()
    psutil.wait_procs(left, timeout=5)
    process.wait(5)


def family_of(pid: int) -> list[psutil.Process]:
    """Return a process and all below it; empty when it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return as soon as something listens on the port; raises ProgramError when that takes too long."""
    deadline = time.monotonic() + LISTEN_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(_POLL_S)
    raise ProgramError(f"{process.args!r} did not listen on port {port} within {LISTEN_WITHIN_S:g} s")
