"""The process above one sandboxed program: starts it, watches it, and leaves nothing of it behind.

usage: python -I -S supervisor.py FD, where FD is one end of a socket pair. Over it comes one line of JSON:
  argv, env, folder          what to start, and where
  owner                      uid that shall own `scratch` and `folder`, or null
  scratch                    removed at the end
  timeout_s, memory_bytes, processes
and back goes one: {"exit_status", "limit_hit", "error"}. When the other end shuts, whatever the reason, all is ended.

It is the subreaper of everything below it (Linux, prctl(2)): a program that forks twice or opens its own session stays
its descendant, and "no child left" (ECHILD) means nothing of the program is alive. Standard library only.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
WATCH_INTERVAL_S = 0.05
STATUS_FD = 3
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run one program from its orders to its report."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    orders = json.loads(control.makefile("rb").readline() or b"null")
    if orders is None:  # the caller was gone before it said what to do
        return
    try:
        report = _run(orders, control)
    except Exception as error:  # whatever it was, the caller must not take it for the program's end
        report = {"error": f"{type(error).__name__}: {error}"}
    end_descendants()
    remove_tree(orders["scratch"])
    with contextlib.suppress(OSError):  # nobody waits any more
        control.sendall(json.dumps(report).encode())


def _run(orders: dict[str, Any], control: socket.socket) -> dict[str, Any]:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    child_ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    status_read, status_write = os.pipe()
    if orders["owner"] is not None:
        for folder in (orders["scratch"], orders["folder"]):
            os.chown(folder, orders["owner"], orders["owner"])
    child = _start(orders, status_write)
    os.close(status_write)
    exit_status, limit_hit = _watch(child, orders, control, child_ended)
    end_descendants()
    said = os.read(status_read, 4096)
    if said != b"+" and limit_hit != "stopped":
        reason = said.decode(errors="replace").lstrip("+")
        return {"error": reason or f"exit status {exit_status}, limit {limit_hit}, before the program began"}
    return {"exit_status": exit_status, "limit_hit": limit_hit}


def _start(orders: dict[str, Any], status_fd: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        os.chdir(orders["folder"])
        os.dup2(status_fd, STATUS_FD)
        os.set_inheritable(STATUS_FD, True)
        os.execve(orders["argv"][0], orders["argv"], orders["env"])
    except OSError as error:
        os.write(status_fd, f"{orders['argv'][0]}: {error}".encode())
    finally:
        os._exit(127)


def _watch(
    child: int, orders: dict[str, Any], control: socket.socket, child_ended: int
) -> tuple[int | None, str | None]:
    ends_at = time.monotonic() + orders["timeout_s"]
    look_at = time.monotonic() + WATCH_INTERVAL_S
    while True:
        exit_status = _reap().get(child)
        if exit_status is not None:
            return exit_status, "cpu" if exit_status == 128 + signal.SIGXCPU else None
        now = time.monotonic()
        if now >= ends_at:
            return None, "time"
        if now >= look_at:
            look_at = now + WATCH_INTERVAL_S
            if (limit_hit := _limit_exceeded(orders)) is not None:
                return None, limit_hit
        readable, _, _ = select.select([control.fileno(), child_ended], [], [], max(0.0, min(ends_at, look_at) - now))
        if control.fileno() in readable:
            return None, "stopped"
        if child_ended in readable:
            os.read(child_ended, 4096)


def _limit_exceeded(orders: dict[str, Any]) -> str | None:
    pids = descendants()
    if len(pids) > orders["processes"]:
        return "processes"
    return "memory" if sum(map(_resident_bytes, pids)) > orders["memory_bytes"] else None


def _resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as fields:
            return int(fields.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0  # ended meanwhile


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


def remove_tree(path: str) -> None:
    """Remove a folder that a program filled, also where it took away its own right to look inside."""
    for parent, folders, _ in os.walk(path):
        for folder in folders:
            inside = os.path.join(parent, folder)
            if not os.path.islink(inside):
                os.chmod(inside, 0o700)
    shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
