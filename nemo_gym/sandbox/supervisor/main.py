"""From the spec of one program to its report: start it, watch it, and leave nothing of it behind."""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import time
from typing import Literal, NamedTuple

from .descendants import descendants, end_descendants, memory_bytes, reap
from .removal import remove_files_of, remove_tree

PR_SET_CHILD_SUBREAPER = 36
WATCH_INTERVAL_S = 0.05
STATUS_FD = 3

LimitHit = Literal["time", "cpu", "memory", "processes", "stopped"]


class SupervisorSpec(NamedTuple):
    """What to start, and what to watch.

    Attributes:
        argv: Command of the process to start, with the program's environment `env` in the working directory `folder`.
        owner: The program's uid, which gets `scratch` and `folder`; what it leaves in folders open to all is removed.
            None leaves both as they are.
        scratch: Folder removed at the end.
        cgroup: Folder of the cgroup that bounds memory, removed at the end; None where there is none.
        timeout_s: Wall-clock seconds.
        memory_bytes: Of all processes together.
        processes: Alive at the same time.
    """

    argv: list[str]
    env: dict[str, str]
    folder: str
    owner: int | None
    scratch: str
    cgroup: str | None
    timeout_s: float
    memory_bytes: int
    processes: int


class SupervisorReport(NamedTuple):
    """What became of the program.

    Attributes:
        exit_status: 128 + n for signal n; None when a limit ended it.
        limit_hit: "stopped" when the caller ended it; None where no limit did.
        error: Why it was not run; then the others say nothing.
    """

    exit_status: int | None = None
    limit_hit: LimitHit | None = None
    error: str | None = None


def main(control_fd: int) -> None:
    """Run one program from its spec to its report; `control_fd` is one end of the socket pair."""
    control = socket.socket(fileno=control_fd)
    control.set_inheritable(False)
    line = control.makefile("rb").readline()
    if not line:  # the caller was gone before it said what to do
        return
    spec = SupervisorSpec(**json.loads(line))
    try:
        report = _run(spec, control)
    except Exception as error:  # whatever it was, the caller must not take it for the program's end
        report = SupervisorReport(error=f"{type(error).__name__}: {error}")
    end_descendants()
    _remove_everything_left(spec)
    with contextlib.suppress(OSError):  # the caller is gone
        control.sendall(json.dumps(report._asdict()).encode())


def _run(spec: SupervisorSpec, control: socket.socket) -> SupervisorReport:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    child_ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    status_read, status_write = os.pipe()
    if spec.owner is not None:
        for folder in (spec.scratch, spec.folder):
            os.chown(folder, spec.owner, spec.owner)
    child = _start(spec, status_write)
    os.close(status_write)
    exit_status, limit_hit = _watch(child, spec, control, child_ended)
    end_descendants()
    said = os.read(status_read, 4096)
    if said != b"+" and limit_hit != "stopped":
        reason = said.decode(errors="replace").lstrip("+")
        reason = reason or f"exit status {exit_status}, limit {limit_hit}, before the program began"
        return SupervisorReport(error=reason)
    return SupervisorReport(exit_status, limit_hit)


def _start(spec: SupervisorSpec, status_fd: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        if spec.cgroup is not None:
            with open(f"{spec.cgroup}/cgroup.procs", "w") as processes:
                processes.write("0")  # this one, and so all that it starts
        os.chdir(spec.folder)
        os.dup2(status_fd, STATUS_FD)
        os.set_inheritable(STATUS_FD, True)
        os.execve(spec.argv[0], spec.argv, spec.env)
    except OSError as error:
        os.write(status_fd, f"{spec.argv[0]}: {error}".encode())
    finally:
        os._exit(127)


def _watch(
    child: int, spec: SupervisorSpec, control: socket.socket, child_ended: int
) -> tuple[int | None, LimitHit | None]:
    ends_at = time.monotonic() + spec.timeout_s
    look_at = time.monotonic() + WATCH_INTERVAL_S
    while True:
        exit_status = reap().get(child)
        if _ended_for_memory(spec):
            return None, "memory"
        if exit_status is not None:
            return exit_status, "cpu" if exit_status == 128 + signal.SIGXCPU else None
        now = time.monotonic()
        if now >= ends_at:
            return None, "time"
        if now >= look_at:
            look_at = now + WATCH_INTERVAL_S
            if (limit_hit := _limit_exceeded(spec)) is not None:
                return None, limit_hit
        readable, _, _ = select.select([control.fileno(), child_ended], [], [], max(0.0, min(ends_at, look_at) - now))
        if control.fileno() in readable:
            return None, "stopped"
        if child_ended in readable:
            os.read(child_ended, 4096)


def _limit_exceeded(spec: SupervisorSpec) -> LimitHit | None:
    pids = descendants()
    if len(pids) > spec.processes:
        return "processes"
    # Twice: between vfork and exec a child shares its parent's memory, and one look would count that double.
    return "memory" if memory_bytes(pids) > spec.memory_bytes < memory_bytes(descendants()) else None


def _ended_for_memory(spec: SupervisorSpec) -> bool:
    if spec.cgroup is None:
        return False
    with open(f"{spec.cgroup}/memory.events") as lines:
        return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)


def _remove_everything_left(spec: SupervisorSpec) -> None:
    remove_tree(spec.scratch)
    if spec.cgroup is not None:
        with contextlib.suppress(OSError):
            os.rmdir(spec.cgroup)
    if spec.owner is not None:
        remove_files_of(spec.owner)
