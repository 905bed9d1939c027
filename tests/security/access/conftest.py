"""One started run, with every kind of server, that the tests of access share; none of them changes it."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bounds import HANGS_AFTER_S
from tests.chaos.processes import Place, wait_until_ready
from tests.free_port import free_port
from tests.run_access import instances_of, run_token

MAX_REQUEST_BYTES = 100_000
IDLE_LIMIT_S = 2.0
BOOKING = "example_room_booking.resources_servers.example_room_booking"
CONFIGS = (
    "resources_servers/example_room_booking/configs/room_booking.yaml",
    "responses_api_models/scripted_model/configs/scripted_model.yaml",
)


@dataclass(frozen=True)
class LockedRun:
    """A run that requires its token."""

    folder: Path
    home: Path
    head_port: int
    token: str
    servers: dict[str, dict[str, Any]]
    process: subprocess.Popen[bytes]

    @property
    def bearer(self) -> dict[str, str]:
        """The header that presents the token; empty where none is required."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def run_directory(self) -> Path:
        """Where its token and logs are."""
        (path,) = self.home.glob("runs/*")
        return path

    @property
    def ports(self) -> dict[str, int]:
        """Every port by the name of the server, the head's too."""
        return {"head": self.head_port, **{name: state["port"] for name, state in self.servers.items()}}

    def url(self, server: str) -> str:
        """Return the address of a server, or of the head."""
        return f"http://127.0.0.1:{self.ports[server]}"


@contextlib.contextmanager
def locked_run(*overrides: str) -> Iterator[LockedRun]:
    """Start a run in a folder that everyone may look into, so that only the run itself keeps others out.

    Whoever starts it has the token of another run in the environment.
    """
    folder = Path(tempfile.mkdtemp(prefix="access-"))
    folder.chmod(0o755)
    home, port, log = folder / "home", free_port(), folder / "run.log"
    arguments = ("ng_run", *CONFIGS, f"head_server.port={port}", *overrides)
    process = Place(folder, home).start(*arguments, log=log, NEMO_GYM_RUN_TOKEN="of another run")
    try:
        wait_until_ready(process, log)
        servers = {state["name"]: state for state in instances_of(port, home)}
        token = "" if "+auth=none" in overrides else run_token(home)
        yield LockedRun(folder, home, port, token, servers, process)
    finally:
        process.terminate()
        process.wait(timeout=HANGS_AFTER_S)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def run() -> Iterator[LockedRun]:
    limits = (f"++{BOOKING}.session_idle_limit_s={IDLE_LIMIT_S}", f"++{BOOKING}.max_request_bytes={MAX_REQUEST_BYTES}")
    with locked_run(*limits) as started:
        yield started


@pytest.fixture(scope="session")
def open_run() -> Iterator[LockedRun]:
    with locked_run("+auth=none") as started:
        yield started


def said_to(port: int, request: bytes, *, timeout_s: float = 5.0) -> bytes:
    """Send bytes as they are and return all that comes back until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(request)
        return all_of(connection)


def all_of(connection: socket.socket) -> bytes:
    """Return what comes until the other end closes, or until the time-out of the connection."""
    parts = []
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    """Return the status of a raw answer."""
    return int(answer.split(b" ", 2)[1])
