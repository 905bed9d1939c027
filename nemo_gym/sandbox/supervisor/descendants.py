"""The processes below this one: found, reaped, measured, ended. Linux only, by what /proc says."""

import contextlib
import os
import signal
import time


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


def reap() -> dict[int, int]:
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

    All are stopped before any is killed: a killed process makes room for its siblings to fork once more, a stopped
    one doesn't.
    """
    while _has_children():
        stopped: set[int] = set()
        while found := descendants() - stopped:
            for pid in found:
                _signal(pid, signal.SIGSTOP)
            stopped |= found
        for pid in stopped:
            _signal(pid, signal.SIGKILL)
        reap()
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


def memory_bytes(pids: set[int]) -> int:
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
    """Return the size of anonymous shared memory by inode: what it holds if we may see that, else what is mapped."""
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
