"""The one name for heavy work, wherever it is done."""

from collections.abc import Callable
from typing import Any, Protocol

from nemo_gym.environments.heavy_work.cluster import RayTasks
from nemo_gym.environments.heavy_work.job import Job
from nemo_gym.environments.heavy_work.local import LocalProcesses
from nemo_gym.environments.heavy_work.outcome import value_of
from nemo_gym.environments.heavy_work.process import Reply
from nemo_gym.environments.heavy_work.settings import HeavyWorkConfig


class _Place(Protocol):
    async def run(self, job: Job) -> Reply: ...

    async def close(self) -> None: ...


class HeavyWork:
    """Runs functions elsewhere. Whoever makes one closes it; nothing starts before the first call.

    Args:
        config: Its bounds.
        on_cluster: Run them as tasks of the Ray cluster that this process belongs to, rather than in processes here.
    """

    def __init__(self, config: HeavyWorkConfig | None = None, *, on_cluster: bool = False) -> None:
        self.config = config or HeavyWorkConfig()
        self._place: _Place = RayTasks(self.config) if on_cluster else LocalProcesses(self.config)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return `function(*arguments)`; when cancelled, the work ends too.

        Args:
            function: At the top level of a module. What it prints goes nowhere. It may be run again where the node of a
                cluster that ran it is lost.
            arguments: JSON values, as is what it returns: a tuple arrives as a list.

        Raises:
            WorkLimitExceeded: It took more CPU time or memory than it may.
            WorkError: It raised.
            RolloutError: `verifier_timeout`: it neither computed nor returned within `wall_limit_s`. `verifier_error`:
                too many calls wait, this server stops, or the machine lacks a package or a file that it needs.
                `server_died`: the nodes that ran it are lost.
        """
        return await self.run_job(Job.of(function, arguments))

    async def run_job(self, job: Job) -> Any:
        """Return what a job returns; as `run`."""
        return value_of(await self._place.run(job), self.config)

    async def close(self) -> None:
        """End all work, also what is at it; calls that wait are refused."""
        await self._place.close()
