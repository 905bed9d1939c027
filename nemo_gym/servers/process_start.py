"""When a process started: with its id, that tells it from a later one of the same id."""

import os
from pathlib import Path

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
