"""The processes of a run, all together: brought up, signalled, waited for."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.launch.place import ended_or
from nemo_gym.launch.processes.managed import ManagedProcess
from nemo_gym.launch.start_error import StartError, first_failure
from nemo_gym.servers.runs.record import ServerInstanceState


class ProcessGroup(dict[str, ManagedProcess]):
    """The processes of a run by name, in the order of the configuration."""

    async def bring_up(self, *beside: Coroutine[Any, Any, None]) -> None:
        """Return when all are ready and what is started beside them is done; the first that fails ends the start.

        Raises:
            ConfigError: An environment can't be built.
            StartError: A process ended.
        """
        all_ready = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.TaskGroup() as starting:
                for process in self.values():
                    starting.create_task(self._bring_up(process, all_ready))
                for other in beside:
                    starting.create_task(other)
        except BaseExceptionGroup as group:
            raise first_failure(group) from None

    async def _bring_up(self, process: ManagedProcess, all_ready: "asyncio.Future[None]") -> None:
        await process.bring_up()
        if all(other.state == "ready" for other in self.values()) and not all_ready.done():
            all_ready.set_result(None)
        assert process.process is not None
        await ended_or(process.process, all_ready)
        if process.process.ended.done():
            raise StartError(process.death("while others were starting"))

    def lateness(self) -> list[str]:
        """Return what those that aren't ready are still doing."""
        return [process.lateness() for process in self.values() if process.state != "ready"]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to everything."""
        for process in self.values():
            process.signal(number)

    async def ended(self, timeout_s: float) -> None:
        """Return when all have ended, at the latest after `timeout_s` seconds."""
        ends = [process.process.ended for process in self.values() if process.process is not None]
        if ends:
            await asyncio.wait(ends, timeout=max(timeout_s, 0.1))

    def is_last(self, process: ManagedProcess) -> bool:
        """Tell whether the others that serve the same instances have all failed."""
        others = (other for other in self.values() if other.planned.servers == process.planned.servers)
        return all(other.state == "failed" for other in others)

    def states(self, address_of: Callable[[ServerInstance], tuple[str, int]]) -> list[ServerInstanceState]:
        """Return the state of every instance; `address_of` gives where all workers of one are called."""
        return [state for process in self.values() for state in process.snapshots(address_of)]
