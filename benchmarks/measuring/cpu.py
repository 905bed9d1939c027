"""CPU time of processes."""

from collections.abc import Mapping

import psutil


def cpu_ms(processes: Mapping[str, psutil.Process]) -> dict[str, float]:
    """Return the CPU time (user and system, ms, in ticks of 10 ms) that each process has used so far."""
    found = {}
    for name, process in processes.items():
        times = process.cpu_times()
        found[name] = (times.user + times.system) * 1e3
    return found
