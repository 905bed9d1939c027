"""What the supervisor and the stage are told for one run, at each of the two levels."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_gym.sandbox import bubblewrap
from nemo_gym.sandbox.limits import SandboxLimits
from nemo_gym.sandbox.result import SandboxLevel
from nemo_gym.sandbox.scratch import Scratch
from nemo_gym.sandbox.view import View, base_python

STAGE = Path(__file__).with_name("stage.py")
SUPERVISOR = Path(__file__).with_name("supervisor.py")


@dataclass(frozen=True)
class Run:
    """One run of a program: what, where, as whom (None: as this process's user), within which bounds."""

    command: Sequence[str]
    level: SandboxLevel
    view: View
    limits: SandboxLimits
    timeout_s: float
    scratch: Scratch
    user: int | None

    def supervisor_orders(self) -> dict[str, Any]:
        """Return the orders that `supervisor.py` reads."""
        confined = self.level == "namespaces"
        return {
            "argv": self._confined_argv() if confined else self._plain_argv(),
            "env": environment(bubblewrap.SCRATCH if confined else str(self.scratch.work)),
            "folder": "/" if confined else str(self.scratch.work),
            "owner": None if confined else self.user,
            "scratch": str(self.scratch.root),
            "timeout_s": self.timeout_s,
            "memory_bytes": self.limits.memory_bytes,
            "processes": self.limits.processes + (bubblewrap.OWN_PROCESSES if confined else 0),
        }

    def _confined_argv(self) -> list[str]:
        argv = bubblewrap.bubblewrap_argv(self.view, self.limits, self.scratch.inputs, STAGE)
        # In a user namespace bwrap itself is one of the processes that are counted.
        orders = self._stage_orders(bubblewrap.INPUTS, processes=self.limits.processes + (self.user is None))
        return [*argv, self.view.python, "-I", "-S", bubblewrap.STAGE, orders]

    def _plain_argv(self) -> list[str]:
        orders = self._stage_orders(str(self.scratch.inputs), processes=self.limits.processes)
        return [base_python(), "-I", "-S", str(STAGE), orders]

    def _stage_orders(self, inputs: str, *, processes: int) -> str:
        orders = {
            "command": list(self.command),
            "inputs": inputs,
            "rlimits": _rlimits(self.limits, processes),
            "user": self.user,
            "shared_processes": self.level == "rlimits" and self.user is None,
        }
        return json.dumps(orders)


def environment(folder: str) -> dict[str, str]:
    """Return all that a program finds in its environment: nothing of ours."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        # Each arena of malloc and each thread of a numeric library reserves address space, which is limited.
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _rlimits(limits: SandboxLimits, processes: int) -> dict[str, list[int]]:
    both = {
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_NPROC": processes,
        "RLIMIT_CORE": 0,
    }
    # At the soft limit a signal names the reason; the hard one ends a program that ignores it.
    return {name: [value, value] for name, value in both.items()} | {"RLIMIT_CPU": [limits.cpu_s, limits.cpu_s + 1]}


def supervisor_argv(control_fd: int) -> list[str]:
    """Return the command that starts a supervisor on one end of a socket pair."""
    return [base_python(), "-I", "-S", os.fspath(SUPERVISOR), str(control_fd)]
