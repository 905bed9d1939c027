"""What bounds one program, what comes back from it, and the errors that are not the program's."""

from dataclasses import dataclass
from typing import Literal

_MIB = 2**20

RequiredLevel = Literal["strict", "best_effort"]
SandboxLevel = Literal["namespaces", "rlimits"]
LimitName = Literal["time", "cpu", "memory", "processes", "output"]

NOT_ENFORCED: dict[SandboxLevel, str] = {
    "namespaces": "",
    "rlimits": (
        "programs can use the network, read every file that their user may read, and fill /tmp and /dev/shm "
        "(which is memory) without a limit"
    ),
}


@dataclass(frozen=True)
class SandboxLimits:
    """Bounds of one run. Every value is positive; there is no "unlimited".

    Attributes:
        timeout_s: Wall-clock seconds of the whole run.
        cpu_s: CPU seconds of each process, whole seconds.
        memory_bytes: Address space of each process, and memory of all of them together.
        file_bytes: Size of each file written.
        scratch_bytes: Size of the scratch folder; only level `namespaces` enforces it.
        open_files: Descriptors of each process.
        processes: Processes and threads alive at the same time.
        output_bytes: What is kept of standard output, and of standard error; a program that writes more is ended.
    """

    timeout_s: float = 10.0
    cpu_s: int = 10
    memory_bytes: int = 512 * _MIB
    file_bytes: int = 16 * _MIB
    scratch_bytes: int = 64 * _MIB
    open_files: int = 64
    processes: int = 32
    output_bytes: int = _MIB

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ValueError(f"sandbox limit {name} must be positive, not {value}")


@dataclass(frozen=True)
class SandboxResult:
    """The end of one program.

    Attributes:
        exit_status: As a shell gives it: 128 + n when signal n ended the program; None when the sandbox ended it.
        stdout: Standard output, at most `SandboxLimits.output_bytes` long.
        stderr: Standard error, bounded the same way.
        level: What stood between the program and the host.
        limit_hit: The limit that ended the program, where that is known. A program that is told of a limit itself
            (MemoryError, "file too large", "resource temporarily unavailable") goes on, and this stays None.
    """

    exit_status: int | None
    stdout: bytes
    stderr: bytes
    level: SandboxLevel
    limit_hit: LimitName | None = None

    @property
    def timed_out(self) -> bool:
        """Whether the wall clock ended the program."""
        return self.limit_hit == "time"

    @property
    def ok(self) -> bool:
        """Whether the program ended by itself with status 0."""
        return self.exit_status == 0

    @property
    def not_enforced(self) -> str:
        """What the level did not keep the program from doing, in words; empty at level `namespaces`."""
        return NOT_ENFORCED[self.level]


class SandboxError(RuntimeError):
    """The sandbox itself failed: the program was not run, and nothing may be concluded about it."""


class SandboxUnavailable(SandboxError):
    """This machine cannot give the level that was asked for; the text says what to install."""
