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
_RECORD = "run.json"


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` says of a run, as long as it runs.

    `pid` is the launcher's, `started_at` is in seconds since the epoch, `folder` is where it was started, and
    `is_command` is False when the launcher is a program of the user that also does other things.
    """

    run_id: str
    pid: int
    pid_created_at: float
    head_host: str
    head_port: int
    folder: str
    started_at: float
    servers: tuple[str, ...]
    stop_timeout_s: float
    is_command: bool

    @property
    def is_alive(self) -> bool:
        """Tell whether the launcher still runs; a recycled pid is not taken for it."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.pid_created_at) < 1.0
            return is_same and process.status() != psutil.STATUS_ZOMBIE
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

    @property
    def launcher_log(self) -> Path:
        """Output of a launcher that runs in the background."""
        return self.path / "launcher.log"

    def log_path(self, server: str) -> Path:
        """Return the log file of one server."""
        return self.logs / f"{server}.log"

    def write_record(
        self, head: tuple[str, int], servers: tuple[str, ...], stop_timeout_s: float, is_command: bool
    ) -> None:
        """Write `run.json`, so that other commands find this run."""
        me = psutil.Process()
        record = RunRecord(
            run_id=self.run_id,
            pid=me.pid,
            pid_created_at=me.create_time(),
            head_host=head[0],
            head_port=head[1],
            folder=os.getcwd(),
            started_at=time.time(),
            servers=servers,
            stop_timeout_s=stop_timeout_s,
            is_command=is_command,
        )
        draft = self.path / "run.json.new"
        draft.write_text(json.dumps(asdict(record), indent=2))
        draft.replace(self._record)

    def close_record(self) -> None:
        """Say that the run is over, also where its process lives on."""
        with contextlib.suppress(FileNotFoundError):
            self._record.rename(self.path / "ended.json")

    @property
    def _record(self) -> Path:
        return self.path / _RECORD


def live_runs() -> list[tuple[RunRecord, Path]]:
    """Return every run that is up or starting, oldest first, with its folder."""
    found = []
    for path in sorted(_runs().glob(f"*/{_RECORD}")):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            fields = json.loads(path.read_text())
            record = RunRecord(**{**fields, "servers": tuple(fields["servers"])})
            if record.is_alive:
                found.append((record, path.parent))
    return found


def live_run_on(port: int) -> tuple[RunRecord, Path] | None:
    """Return the live run whose head has this port."""
    return next(((record, path) for record, path in reversed(live_runs()) if record.head_port == port), None)


def _runs() -> Path:
    return home() / "runs"


def _prune() -> None:
    alive = {path for _, path in live_runs()}
    folders = sorted(path for path in _runs().iterdir() if path.is_dir())
    for path in folders[:-KEPT_RUNS]:  # by name, which begins with the time; the newest may be about to write a record
        if path not in alive:
            shutil.rmtree(path, ignore_errors=True)
