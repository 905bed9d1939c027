"""A million of everything, written to a temporary folder; run by hand with `make soak`."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

FEW, MANY = 100_000, 1_000_000
BIN = Path(sys.executable).parent

_MEASURED = """if True:
    import resource, subprocess, sys
    subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(used.ru_maxrss * 1024, used.ru_utime + used.ru_stime)
"""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the soak unless `-m` asks for it: it writes gigabytes, and takes a quarter of an hour."""
    if "soak" not in (config.option.markexpr or ""):
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="long: make soak"))


@dataclass(frozen=True)
class Cost:
    """What a command took: `peak_bytes` is the largest resident memory of any of its processes."""

    peak_bytes: int
    cpu_s: float
    seconds: float

    def words(self, count: int) -> str:
        """One line for a person; `count` is how many rows or rollouts were worked through."""
        return (
            f"{count:,}: {count / self.seconds:,.0f}/s, {self.seconds:,.0f} s, {self.cpu_s:,.0f} s of CPU, "
            f"peak {self.peak_bytes / 2**20:,.0f} MiB"
        )


def cost_of(folder: Path, *words: str) -> Cost:
    """Run a command of ours in a folder; raises CalledProcessError."""
    began = time.monotonic()
    arguments = [sys.executable, "-c", _MEASURED, str(BIN / words[0]), *words[1:]]
    done = subprocess.run(arguments, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    peak, cpu_s = done.stdout.split()
    return Cost(int(peak), float(cpu_s), time.monotonic() - began)
