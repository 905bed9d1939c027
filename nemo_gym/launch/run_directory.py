"""The run directory: what one run leaves behind for people and commands to find (mode 0700).

`<home>/runs/<run id>/run.json`, `logs/<server>.log`. The home is `NEMO_GYM_HOME`, else `~/.nemo_gym`.
"""

import contextlib
import json
import os
import secrets
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

HOME_ENV = "NEMO_GYM_HOME"
KEPT_RUNS = 20


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` says of a run. `started_at` is in seconds since the epoch; `pid` is the launcher's."""

    run_id: str
    pid: int
    pid_created_at: float
    head_host: str
    head_port: int
    folder: str
    started_at: float
    servers: tuple[str, ...]

    @property
    def is_alive(self) -> bool:
        """Tell whether the launcher still runs; a recycled pid is not taken for it."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.pid_created_at) < 1.0
        except psutil.Error:
            return False


def home() -> Path:
    """Return the folder for everything we keep outside the project."""
    return Path(os.environ.get(HOME_ENV) or Path.home() / ".nemo_gym")


class RunDirectory:
    """The folder of one run. Making it also removes the oldest finished runs beyond `KEPT_RUNS`."""

    def __init__(self) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.run_id = f"{stamp}-{secrets.token_hex(3)}"
        self.path = _runs() / self.run_id
        self.logs.mkdir(parents=True, mode=0o700)
        self.path.chmod(0o700)
        _prune()

    @property
    def logs(self) -> Path:
        """Folder of the log files."""
        return self.path / "logs"

    def log_path(self, server: str) -> Path:
        """Return the log file of one server."""
        return self.logs / f"{server}.log"

    def write_record(self, head_host: str, head_port: int, servers: tuple[str, ...]) -> None:
        """Write `run.json`, so that other commands find this run."""
        me = psutil.Process()
        record = RunRecord(
            self.run_id, me.pid, me.create_time(), head_host, head_port, os.getcwd(), time.time(), servers
        )
        draft = self.path / "run.json.new"
        draft.write_text(json.dumps(asdict(record), indent=2))
        draft.replace(self.path / "run.json")


def recorded_runs() -> list[tuple[RunRecord, Path]]:
    """Return every run on record, oldest first, with its folder."""
    found = []
    for path in sorted(_runs().glob("*/run.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            fields = json.loads(path.read_text())
            found.append((RunRecord(**{**fields, "servers": tuple(fields["servers"])}), path.parent))
    return found


def live_run_on(port: int) -> tuple[RunRecord, Path] | None:
    """Return the live run whose head has this port."""
    return next(((r, path) for r, path in reversed(recorded_runs()) if r.head_port == port and r.is_alive), None)


def _runs() -> Path:
    return home() / "runs"


def _prune() -> None:
    finished = [path for record, path in recorded_runs() if not record.is_alive]
    for path in finished[:-KEPT_RUNS]:
        shutil.rmtree(path, ignore_errors=True)
