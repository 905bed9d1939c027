"""Memory of processes: the highest RSS while something happens, and what an idle run really holds."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import psutil

MB = 2**20
SAMPLE_EVERY_S = 0.2

Processes = Callable[[], Mapping[str, psutil.Process]]


@dataclass
class PeakMemory:
    """Highest RSS seen of each process, in MB, by what it is."""

    peak_mb: dict[str, float] = field(default_factory=dict)

    def sample(self, processes: Mapping[str, psutil.Process]) -> None:
        """Look once."""
        for name, process in processes.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), process.memory_info().rss / MB)


@contextlib.contextmanager
def watched(processes: Processes) -> Iterator[PeakMemory]:
    """Sample the processes from a thread for as long as the context lasts."""
    peak, is_over = PeakMemory(), threading.Event()

    def watch() -> None:
        while True:
            peak.sample(processes())
            if is_over.wait(SAMPLE_EVERY_S):
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        is_over.set()
        watcher.join()


@dataclass(frozen=True)
class Held:
    """What a process holds, in MB: alone (USS), with its share of what is shared (PSS), all that is mapped in (RSS)."""

    uss_mb: float
    pss_mb: float
    rss_mb: float


def held_by(process: psutil.Process) -> Held:
    """Return what one process holds now."""
    info = process.memory_full_info()
    return Held(info.uss / MB, info.pss / MB, info.rss / MB)
