"""What a run in the sandbox gives back, and the errors that are not the program's."""

from dataclasses import dataclass
from typing import Literal

SandboxLevel = Literal["namespaces", "rlimits"]
LimitName = Literal["time", "cpu", "memory", "processes", "output"]


@dataclass(frozen=True)
class SandboxResult:
    """The end of one program.

    Attributes:
        exit_status: As a shell gives it: 128 + n when signal n ended the program; None when the sandbox ended it.
        stdout: Standard output, at most `SandboxLimits.output_bytes` long.
        stderr: Standard error, bounded the same way.
        level: What stood between the program and the host.
        limit_hit: The limit that ended the program, where that is known. A program that hears of a limit by itself
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


class SandboxError(RuntimeError):
    """The sandbox itself failed: the program was not run, and nothing may be concluded about it."""


class SandboxUnavailable(SandboxError):
    """This machine cannot give the level that was asked for; the text says what to install."""
