"""What a run says of itself in its run directory, as other processes read it; and what its head says of its servers.

`<home>/runs/<run id>/run.json` as long as it runs, and `token` beside it. The home: NEMO_GYM_HOME, else `~/.nemo_gym`.
"""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, computed_field

from nemo_gym.config.addresses import http_url, is_every_interface, is_loopback
from nemo_gym.config.env_names import HOME_ENV
from nemo_gym.config.errors import ConfigError, Mistake

_PROC = Path("/proc")
_STATE, _START_TICKS = 0, 19  # among the fields behind the name, see proc(5)


def started_at(pid: int) -> float | None:
    """Return seconds since the epoch; None for a process that is gone, or has ended and is only waited for."""
    if not (_PROC / "stat").exists():
        return _started_at_elsewhere(pid)
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    if fields[_STATE] in (b"Z", b"X"):
        return None
    lines = (_PROC / "stat").read_text().splitlines()
    boot_s = next(float(line.split()[1]) for line in lines if line.startswith("btime "))
    return boot_s + int(fields[_START_TICKS]) / os.sysconf("SC_CLK_TCK")


def _started_at_elsewhere(pid: int) -> float | None:
    import psutil  # not for free, and not needed where there is /proc

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


class ServerInstanceState(BaseModel):
    """One entry of `GET /server_instances`; one for each worker.

    Attributes:
        state: starting, ready, unresponsive, restarting, failed.
        reason: Why it is unresponsive, where that is known.
        node: Address of the node of the Ray cluster it is on; None on the machine of the launcher.
        restarts: How often its process was started again.
        folder: The component's, absolute, on the machine of the run.
        code_digest: Digest of the code in `folder` when this process was started; None while there is no process.
    """

    name: str
    kind: str
    implementation: str
    host: str
    port: int
    url: str
    pid: int | None
    worker: int | None = None
    state: str
    reason: str | None = None
    node: str | None = None
    restarts: int = 0
    log: str | None = None
    folder: str | None = None
    code_digest: str | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def process_name(self) -> str:
        """The same as `name`, as other clients call it."""
        return self.name

    @computed_field  # type: ignore[prop-decorator]
    @property
    def server_type(self) -> str:
        """The same as `kind`, as other clients call it."""
        return self.kind


RECORD_NAME = "run.json"
TOKEN_NAME = "token"
_SAME_START_S = 1.0


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` says of a run, as long as it runs.

    `pid` is the launcher's, `started_at` is in seconds since the epoch, `folder` is where it was started,
    `head_bind_host` is the address the head listens on where that isn't `head_host`, `is_command` is False when the
    launcher is a program of the user that also does other things, and `has_head` is False until the head's port is
    this run's: another run may still have it. `ca` is the file that its servers' certificates are checked against, and
    `cert` the file of those.
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
    head_bind_host: str = ""
    has_head: bool = True
    ca: str = ""
    cert: str = ""

    @property
    def is_alive(self) -> bool:
        """Tell whether the launcher still runs; a recycled pid isn't taken for it."""
        started = started_at(self.pid)
        return started is not None and abs(started - self.pid_created_at) < _SAME_START_S

    @property
    def head_url(self) -> str:
        """Where the head is called."""
        return http_url(self.head_host, self.head_port, is_tls=bool(self.ca))

    @property
    def token_path(self) -> Path:
        """The file with the run's token, which a run with auth=none doesn't have."""
        return runs() / self.run_id / TOKEN_NAME

    def has_head_at(self, host: str, port: int) -> bool:
        """Tell whether a call of this address on this machine reaches the head of this run."""
        if not self.has_head or port != self.head_port:
            return False
        if host in (self.head_host, self.head_bind_host):
            return True
        # This machine's own address: for a head that listens there, or on every interface.
        bound = self.head_bind_host or self.head_host
        return (is_loopback(host) or is_every_interface(host)) and (is_loopback(bound) or is_every_interface(bound))


def home() -> Path:
    """Return the folder for everything we keep outside the project.

    Raises:
        ConfigError: This user has no home folder, and NEMO_GYM_HOME isn't set.
    """
    try:
        return Path(os.environ.get(HOME_ENV) or Path.home() / ".nemo_gym")
    except RuntimeError:
        what = "this user has no home folder to keep run directories in"
        raise ConfigError(Mistake(what, where=HOME_ENV, fix=f"set {HOME_ENV} to a folder you can write to")) from None


def runs() -> Path:
    """Return the folder of all run directories."""
    return home() / "runs"


def live_runs() -> list[tuple[RunRecord, Path]]:
    """Return every run that is up or starting, oldest first, with its folder."""
    return [(record, path) for record, path in _records() if record.is_alive]


def live_run_on(port: int) -> tuple[RunRecord, Path] | None:
    """Return the live run whose head has this port; a run that is starting, only where none has it yet."""
    found = [(record, path) for record, path in live_runs() if record.head_port == port]
    return max(found, key=lambda run: (run[0].has_head, run[0].started_at), default=None)


def live_run_at(host: str, port: int) -> RunRecord | None:
    """Return the live run whose head is called at this address."""
    found = [record for record, _ in _records() if record.has_head_at(host, port)]
    return next((record for record in reversed(found) if record.is_alive), None)


def _records() -> list[tuple[RunRecord, Path]]:
    found = []
    try:
        folder = runs()
    except ConfigError:
        return []  # without a home no run can be on record
    for path in sorted(folder.glob(f"*/{RECORD_NAME}")):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            fields = json.loads(path.read_text())
            found.append((RunRecord(**{**fields, "servers": tuple(fields["servers"])}), path.parent))
    return found
