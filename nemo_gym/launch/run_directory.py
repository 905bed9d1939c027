"""The run directory: what one run leaves behind for people and commands to find (mode 0700).

`<home>/runs/<run id>/run.json`, `token`, `config/<server>.yaml`, `logs/<server>.log`. The home is `NEMO_GYM_HOME`, else
`~/.nemo_gym`.
"""

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from nemo_gym.config.env_names import HOME_ENV
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.load import RunConfig
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.record import RECORD_NAME, TOKEN_NAME, RunRecord, live_runs, runs, started_at

KEPT_RUNS = 20
CONFIG_FOLDER = "config"


class RunDirectory:
    """The folder of one run. Making it also removes the oldest finished runs beyond `KEPT_RUNS`.

    Raises:
        ConfigError: It can't be made; so do all methods that write, when they can't.
    """

    def __init__(self) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.run_id = f"{stamp}-{secrets.token_hex(3)}"
        self.path = runs() / self.run_id
        with self._written():
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
        """Write the run's token, readable by this user alone from its first byte on."""
        self._write_private(self.path / TOKEN_NAME, token)

    def write_config(self, server: str, text: str) -> Path:
        """Write the configuration of one server process, readable by this user alone; return the file."""
        path = self.path / CONFIG_FOLDER / f"{server}.yaml"
        with self._written():
            path.parent.mkdir(exist_ok=True, mode=0o700)
        self._write_private(path, text)
        return path

    def announce(
        self,
        config: RunConfig,
        stop_timeout_s: float,
        *,
        is_command: bool = True,
        has_head: bool = False,
        access: RunAccess = RunAccess(),
    ) -> None:
        """Write `run.json` for a run with this configuration; `has_head`: it has the head's port by now."""
        self.write_record(
            (config.head_host, config.head_port),
            tuple(instance.name for instance in config.instances),
            stop_timeout_s,
            is_command,
            config.head_bind_host,
            has_head,
            access,
        )

    def write_record(
        self,
        head: tuple[str, int],
        servers: tuple[str, ...],
        stop_timeout_s: float,
        is_command: bool,
        head_bind_host: str = "",
        has_head: bool = True,
        access: RunAccess = RunAccess(),
    ) -> None:
        """Write `run.json`, so that other commands find this run."""
        record = RunRecord(
            run_id=self.run_id,
            pid=os.getpid(),
            pid_created_at=started_at(os.getpid()) or time.time(),
            head_host=head[0],
            head_port=head[1],
            folder=os.getcwd(),
            started_at=time.time(),
            servers=servers,
            stop_timeout_s=stop_timeout_s,
            is_command=is_command,
            head_bind_host=head_bind_host,
            has_head=has_head,
            ca=access.ca or "",
            cert=access.cert or "",
        )
        draft = self.path / "run.json.new"
        with self._written():
            draft.write_text(json.dumps(asdict(record), indent=2))
            draft.replace(self._record)

    def close_record(self) -> None:
        """Say that the run is over, also where its process lives on, and remove what holds secrets."""
        with contextlib.suppress(OSError):  # gone, or the disk is read-only by now: nobody can do anything about it
            remove_secrets(self.path)
            self._record.rename(self.path / "ended.json")

    @property
    def _record(self) -> Path:
        return self.path / RECORD_NAME

    def _write_private(self, path: Path, text: str) -> None:
        with self._written():
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Turn the OSError of a folder that can't be written into the mistake that says so."""
        try:
            yield
        except OSError as error:
            what = f"can't write to the run directory {self.path}: {error.strerror or error}"
            fix = f"free or unlock that place, or set {HOME_ENV} to a folder that can be written"
            raise ConfigError(Mistake(what, where=HOME_ENV, fix=fix)) from error


def remove_secrets(folder: Path) -> None:
    """Remove the token and the configuration files of a run that is over."""
    (folder / TOKEN_NAME).unlink(missing_ok=True)
    shutil.rmtree(folder / CONFIG_FOLDER, ignore_errors=True)


def _prune() -> None:
    # Listed before asking which runs are alive: a run that begins meanwhile keeps its secrets.
    announced = [path.parent for path in runs().glob(f"*/{RECORD_NAME}")]
    alive = {path for _, path in live_runs()}
    folders = sorted(path for path in runs().iterdir() if path.is_dir())
    for path in folders[:-KEPT_RUNS]:  # by name, which begins with the time; the newest may be about to write a record
        if path not in alive:
            shutil.rmtree(path, ignore_errors=True)
    for path in announced:
        if path not in alive:
            remove_secrets(path)  # its launcher was killed
