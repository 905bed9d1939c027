"""The process above one sandboxed program: starts it, watches it, and leaves nothing of it behind.

usage: python -I -S supervisor.py FD, where FD is one end of a socket pair. Over it comes a `SupervisorSpec` as one line
of JSON, and back goes one line: {"exit_status", "limit_hit", "error"}. When the other end shuts, whatever the reason,
all is ended.

It is the subreaper of everything below it (Linux, prctl(2)): a program that forks twice or opens its own session stays
its descendant, and "no child left" (ECHILD) means nothing of the program is alive. Standard library only.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, NamedTuple

PR_SET_CHILD_SUBREAPER = 36
WATCH_INTERVAL_S = 0.05
STATUS_FD = 3
_OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm")


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


def main() -> None:
    """Run one program from its spec to its report."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    line = control.makefile("rb").readline()
    if not line:  # the caller was gone before it said what to do
        return
    spec = SupervisorSpec(**json.loads(line))
    try:
        report = _run(spec, control)
    except Exception as error:  # whatever it was, the caller must not take it for the program's end
        report = {"error": f"{type(error).__name__}: {error}"}
    end_descendants()
    _remove_everything_left(spec)
    with contextlib.suppress(OSError):  # the caller is gone
        control.sendall(json.dumps(report).encode())


def _run(spec: SupervisorSpec, control: socket.socket) -> dict[str, Any]:
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
        return {"error": reason or f"exit status {exit_status}, limit {limit_hit}, before the program began"}
    return {"exit_status": exit_status, "limit_hit": limit_hit}


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


def _watch(child: int, spec: SupervisorSpec, control: socket.socket, child_ended: int) -> tuple[int | None, str | None]:
    ends_at = time.monotonic() + spec.timeout_s
    look_at = time.monotonic() + WATCH_INTERVAL_S
    while True:
        exit_status = _reap().get(child)
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


def _limit_exceeded(spec: SupervisorSpec) -> str | None:
    pids = descendants()
    if len(pids) > spec.processes:
        return "processes"
    # Twice: between vfork and exec a child shares its parent's memory, and one look would count that double.
    return "memory" if _memory_bytes(pids) > spec.memory_bytes < _memory_bytes(descendants()) else None


def _ended_for_memory(spec: SupervisorSpec) -> bool:
    if spec.cgroup is None:
        return False
    with open(f"{spec.cgroup}/memory.events") as lines:
        return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)


def _memory_bytes(pids: set[int]) -> int:
    """Add up the memory of each process's own, and what they share once, even where none of it is mapped in."""
    own = 0
    shared: dict[str, int] = {}
    for pid in pids:
        try:
            own += _own_bytes(pid)
            for inode, size in _shared_bytes(pid).items():
                shared[inode] = max(size, shared.get(inode, 0))
        except OSError:
            continue  # ended meanwhile
    return own + sum(shared.values())


def _own_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status") as lines:
        fields = dict(line.split(":", 1) for line in lines)
    return sum(1024 * int(fields.get(name, "0 kB").split()[0]) for name in ("RssAnon", "VmSwap", "VmPTE"))


def _shared_bytes(pid: int) -> dict[str, int]:
    """Return the size of anonymous shared memory by inode: what it holds where we may see that, else what is mapped."""
    sizes: dict[str, int] = {}
    with open(f"/proc/{pid}/maps") as lines:
        for line in lines:
            if "/dev/zero" not in line:
                continue
            addresses, _, _, _, inode, *_ = line.split()
            start, end = (int(address, 16) for address in addresses.split("-"))
            try:
                # Only for root; also counts pages whose mappings the program has given up.
                sizes[inode] = 512 * os.stat(f"/proc/{pid}/map_files/{start:x}-{end:x}").st_blocks
            except OSError:
                sizes[inode] = sizes.get(inode, 0) + end - start
    return sizes


def _reap() -> dict[int, int]:
    """Collect the children that ended: exit status by pid, 128 + n for signal n."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        code = os.waitstatus_to_exitcode(status)
        ended[pid] = code if code >= 0 else 128 - code


def end_descendants() -> None:
    """Kill everything below this process; returns when nothing is left.

    Stopped first, killed then: a killed process makes room for its siblings to fork once more, a stopped one does not.
    """
    while _has_children():
        stopped: set[int] = set()
        while found := descendants() - stopped:
            for pid in found:
                _signal(pid, signal.SIGSTOP)
            stopped |= found
        for pid in stopped:
            _signal(pid, signal.SIGKILL)
        _reap()
        time.sleep(0.001)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # ended by itself
        os.kill(pid, number)


def descendants() -> set[int]:
    """Return the pids of all processes below this one."""
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        children = _children(waiting.pop()) - found
        found |= children
        waiting.extend(children)
    return found


def _children(pid: int) -> set[int]:
    try:
        children: set[int] = set()
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as pids:
                children.update(map(int, pids.read().split()))
        return children
    except OSError:
        return set()  # ended meanwhile


def _remove_everything_left(spec: SupervisorSpec) -> None:
    remove_tree(spec.scratch)
    if spec.cgroup is not None:
        with contextlib.suppress(OSError):
            os.rmdir(spec.cgroup)
    if spec.owner is None:
        return
    for folder in filter(os.path.isdir, _OPEN_TO_ALL):
        for entry in os.scandir(folder):
            with contextlib.suppress(OSError):  # removed by another meanwhile
                if entry.stat(follow_symlinks=False).st_uid != spec.owner:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    remove_tree(entry.path)
                else:
                    os.unlink(entry.path)


def remove_tree(path: str) -> None:
    """Remove a folder that a program filled, whatever it did to the rights and however deep it nested.

    One step down or up at a time: paths would grow too long, and recursion too deep. What can't be removed stays.
    """
    with contextlib.suppress(OSError):
        names: list[str] = []
        here = _opened(path, None)
        try:
            while (inner := _first_folder(here)) is not None or names:
                if inner is not None:
                    names.append(inner)
                above, here = here, _opened(".." if inner is None else inner, here)
                os.close(above)
                if inner is None:
                    os.rmdir(names.pop(), dir_fd=here)
        finally:
            os.close(here)
        os.rmdir(path)


def _opened(folder: str, where: int | None) -> int:
    os.chmod(folder, 0o700, dir_fd=where)
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=where)


def _first_folder(here: int) -> str | None:
    """Return the name of a folder in here; the files found before are removed."""
    with os.scandir(here) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                return entry.name
            os.unlink(entry.name, dir_fd=here)
    return None


if __name__ == "__main__":
    main()
