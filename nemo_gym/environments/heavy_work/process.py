"""A process of heavy work, from its parent's side. Standard library only: it runs on the nodes of a cluster too."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("script.py")
STARTS_WITHIN_S = 120.0
"""With the imports of the first call."""


@dataclass(frozen=True)
class Reply:
    """What became of a call.

    Attributes:
        line: The answer, JSON; empty when the process ended without one.
        status: With which the process then ended, as `Popen.returncode`.
        timed_out: It was killed because it took too long on the clock.
        node: Address of the machine; empty for this one.
    """

    line: bytes
    status: int = 0
    timed_out: bool = False
    node: str = ""


class WorkProcess:
    """One process, which answers one call after another until one of them ends it."""

    def __init__(self, path: Sequence[str], memory_limit_bytes: int) -> None:
        self._is_new = True
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            # The order of sets decides what symbolic mathematics tries first: the same answer, the same way.
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        settings = {"path": list(path), "memory_limit_bytes": memory_limit_bytes, "parent": os.getpid()}
        self._send(settings)

    @property
    def is_alive(self) -> bool:
        """Whether it can answer another call."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it, from any thread."""
        self._process.kill()

    def answer(self, request: dict[str, Any], wall_limit_s: float) -> Reply:
        """Return what becomes of a call; a process that doesn't answer is gone afterwards."""
        limit_s = wall_limit_s + (STARTS_WITHIN_S if self._is_new else 0.0)
        self._is_new = False
        timed_out, line = False, b""
        try:
            self._send(request)
            line = self._line(time.monotonic() + limit_s)
        except TimeoutError:
            timed_out = True
        except OSError:  # it is gone
            pass
        return Reply(line) if line else Reply(b"", self.end(), timed_out)

    def end(self) -> int:
        """Kill it and return its status."""
        self._process.kill()
        status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return status

    def _send(self, data: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        left = memoryview(json.dumps(data).encode() + b"\n")
        while left:
            left = left[self._process.stdin.write(left) :]

    def _line(self, until: float) -> bytes:
        """Return the next line; empty where the process closes its end without one."""
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        readable = select.poll()  # not `select`, which knows only the first 1024 descriptors
        readable.register(fd, select.POLLIN)
        read = bytearray()
        while not read.endswith(b"\n"):
            if not readable.poll(max(0.0, until - time.monotonic()) * 1000):
                raise TimeoutError
            chunk = os.read(fd, 1 << 16)
            if not chunk:
                return b""
            read += chunk
        return bytes(read)
