"""The run directory: what one run leaves behind for people and commands to find (mode 0700).

`<home>/runs/<run id>/run.json`, `token`, `logs/<server>.log`. The home is `NEMO_GYM_HOME`, else `~/.nemo_gym`.
"""

import contextlib
import json
import os
import secrets
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import psutil

from nemo_gym.servers.runs.record import RECORD_NAME, TOKEN_NAME, RunRecord, live_runs, runs

KEPT_RUNS = 20


class RunDirectory:
    """The folder of one run. Making it also removes the oldest finished runs beyond `KEPT_RUNS`."""

    def __init__(self) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.run_id = f"{stamp}-{secrets.token_hex(3)}"
        self.path = runs() / self.run_id
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

    def write_token(self, token: str) -> None:
        """Write the run's token, for this user's eyes from its first byte on."""
        fd = os.open(self.path / TOKEN_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(token)

    def write_record(
        self,
        head: tuple[str, int],
        servers: tuple[str, ...],
        stop_timeout_s: float,
        is_command: bool,
        head_bind_host: str = "",
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
            head_bind_host=head_bind_host,
        )
        draft = self.path / "run.json.new"
        draft.write_text(json.dumps(asdict(record), indent=2))
        draft.replace(self._record)

    def close_record(self) -> None:
        """Say that the run is over, also where its process lives on; its token opens nothing any more."""
        (self.path / TOKEN_NAME).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._record.rename(self.path / "ended.json")

    @property
    def _record(self) -> Path:
        return self.path / RECORD_NAME


def _prune() -> None:
    # Looked for before who is alive: a run that begins meanwhile keeps its token.
    tokens = [path for path in runs().glob(f"*/{TOKEN_NAME}") if (path.parent / RECORD_NAME).exists()]
    alive = {path for _, path in live_runs()}
    folders = sorted(path for path in runs().iterdir() if path.is_dir())
    for path in folders[:-KEPT_RUNS]:  # by name, which begins with the time; the newest may be about to write a record
        if path not in alive:
            shutil.rmtree(path, ignore_errors=True)
    for token in tokens:
        if token.parent not in alive:
            token.unlink(missing_ok=True)  # its launcher was killed
