"""Nodes of a Ray cluster on this machine: each with an address of loopback, all on the same cores."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.program import BIN, ProgramError, free_port, running

_STARTS_WITHIN_S = 120.0
_STORE_BYTES = 100_000_000
_STARTED = b"Ray runtime started"
_VARIABLES = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_DOCKER_CPU_WARNING": "1"}


@contextlib.contextmanager
def ray_nodes(folder: Path, count: int) -> Iterator[str]:
    """Yield the address of a cluster of so many nodes; whoever starts a program meanwhile joins it without a token."""
    os.environ.update(_VARIABLES)
    host, port = "127.0.198.1", free_port()
    # Short, since sockets are in it.
    with (
        tempfile.TemporaryDirectory(prefix="ngb", ignore_cleanup_errors=True) as sessions,
        contextlib.ExitStack() as up,
    ):
        for node in range(1, count + 1):
            where = [f"--address={host}:{port}"]
            if node == 1:
                where = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={sessions}"]
            address = f"--node-ip-address=127.0.198.{node}"
            size = ("--num-cpus=3", f"--object-store-memory={_STORE_BYTES}")
            command = [str(BIN / "ray"), "start", "--block", *where, address, *size]
            raylet = up.enter_context(running(command, folder, f"node-{node}"))
            _wait_for(raylet, folder / f"node-{node}.log")
        yield f"{host}:{port}"


def _wait_for(raylet: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while _STARTED not in log.read_bytes():
        if raylet.poll() is not None or time.monotonic() > deadline:
            raise ProgramError(f"a node of Ray didn't start: {log.read_text()[-1000:]}")
        time.sleep(0.1)
