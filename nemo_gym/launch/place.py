"""Where a process of a run is started: on this machine or on a node of a cluster. The launcher knows no more of it."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol


class RunningProcess(Protocol):
    """A process that was started, and how far it has come.

    Attributes:
        phase: importing, binding, starting, ready; a server may report others.
        ready: Done when the server says that it is ready.
    """

    phase: str
    ready: "asyncio.Future[None]"

    @property
    def pid(self) -> int | None:
        """Process id on its machine."""

    @property
    def ended(self) -> "asyncio.Task[None]":
        """Done when the process is gone, and the last of its output is in the log."""

    @property
    def tail(self) -> Sequence[str]:
        """Its last lines of output."""

    @property
    def is_running(self) -> bool:
        """Tell whether it has not ended yet."""

    @property
    def exit_status(self) -> int | None:
        """Negative for a signal; None while it runs, or when nobody can know."""

    @property
    def how_it_ended(self) -> str:
        """Return that in words, e.g. "ended with status 1"."""

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and everything it started; nothing when they are gone."""


class Place(Protocol):
    """What a process is started in."""

    @property
    def activity(self) -> str:
        """What is done there before a process can be started; "" when nothing has to be."""

    @property
    def node(self) -> str | None:
        """Address of the node of the cluster; None on the machine of the launcher."""

    @property
    def health_address(self) -> tuple[str, int]:
        """Where this process and no other answers `/health`: host, port."""

    def own_port(self, instance: str) -> tuple[str, int] | None:
        """Return host and port of an instance in this process; None where it has that of the instance."""

    async def prepare(self) -> None:
        """Make what a process needs before it is started. The caller sets the deadline.

        Raises:
            ConfigError: It can't be made.
            StartError: It was lost meanwhile.
        """

    async def code_digests(self) -> Mapping[str, str | None]:
        """Return the digest of the code that the next process will read, by instance."""

    async def start(self, show: Callable[[str], None]) -> RunningProcess:
        """Start the process; `show` gets every line that it prints."""

    def give_up(self, *, is_last: bool) -> None:
        """Refuse calls from now on: the process won't come back. `is_last`: no other serves its instances."""


async def ended_or(process: RunningProcess, other: "asyncio.Future[None]") -> None:
    """Return when the process has ended or `other` is done."""
    waits: list[asyncio.Future[None]] = [process.ended, other]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
