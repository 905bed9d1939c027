"""Environments, agents and a policy model in this process, and rollouts with them."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from nemo_gym.collections.tasks import Task, agent_of, read_tasks
from nemo_gym.config.datasets import unlisted_examples
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import AGENTS_KIND, RESOURCES_KIND
from nemo_gym.config.load import RunConfig
from nemo_gym.in_process.blocking import BlockingGym
from nemo_gym.in_process.collecting import OutcomeStream, TaskLike, as_tasks
from nemo_gym.in_process.model_choice import POLICY, ModelChoice
from nemo_gym.in_process.results import RolloutResult
from nemo_gym.in_process.servers import InProcessServers
from nemo_gym.in_process.settings import Environments, GymSettings
from nemo_gym.launch.plan import LaunchOptions
from nemo_gym.rollouts.collector import CollectorLimits
from nemo_gym.rollouts.preflight import ROWS_READ, find_mistakes, require_agent
from nemo_gym.rollouts.runner import Work


class Gym:
    """Servers that are up, and rollouts with them. Made by `nemo_gym.gym`.

    Attributes:
        client: Calls the servers by name.
        agents: Names of all agents.
        agent_name: Agent of every rollout; None: each row names its own.
    """

    def __init__(self, config: RunConfig, servers: InProcessServers, agent_name: str | None, preflight: bool) -> None:
        self._config = config
        self._servers = servers
        self.client = servers.client
        self._preflight = preflight
        self.agents = [instance.name for instance in config.instances if instance.kind == AGENTS_KIND]
        self.agent_name = agent_name or (self.agents[0] if len(self.agents) == 1 else None)
        self._open: set[OutcomeStream] = set()

    @classmethod
    async def start(cls, settings: GymSettings) -> "Gym":
        """Return a gym whose servers are ready; raises as `nemo_gym.gym` says."""
        config = await asyncio.to_thread(settings.load)
        if settings.agent_name is not None:
            require_agent(config.global_config_dict, settings.agent_name)
        is_function = callable(settings.model)
        functions = {POLICY: settings.model} if callable(settings.model) else {}
        servers = InProcessServers(config, functions, settings.classes, LaunchOptions(colocate=True))
        gym = cls(config, servers, settings.agent_name, preflight=not is_function)
        await servers.start()
        return gym

    async def close(self) -> None:
        """Cut off what runs, and shut the servers down."""
        for stream in list(self._open):
            await stream.cut_off()
        await self._servers.stop()

    async def rollout(self, task: TaskLike, **params: Any) -> RolloutResult:
        """Return the result of one rollout; a failure is a result.

        Args:
            task: A task row, or the user's message.
            params: Override the row's create parameters, e.g. `temperature=0.7`.

        Raises:
            ConfigError: The rollout would fail for a reason that all would share.
        """
        async with aclosing(self.collect([task], params=params)) as results:
            return await anext(results)

    async def collect(
        self,
        tasks: Iterable[TaskLike] | Path,
        num_repeats: int = 1,
        *,
        params: Mapping[str, Any] | None = None,
        limits: CollectorLimits | None = None,
    ) -> AsyncGenerator[RolloutResult]:
        """Yield the results of all rollouts as they finish, each once; whoever stops reading cuts off the rest.

        Args:
            tasks: Task rows, user's messages, or the path of a JSONL file. They are read as they are needed.
            num_repeats: Rollouts for each task.
            params: Override each row's create parameters.
            limits: How many run at once, attempts, and times.

        Raises:
            ConfigError: Rollouts would fail for a reason that they all share.
            CollectionStoppedError: Rollout after rollout failed for a reason that won't go away; or the gym was closed.
        """
        given = as_tasks(tasks)
        first = list(itertools.islice(given, ROWS_READ))
        await self._check(first)
        rows = _Rows(num_repeats)
        stream = OutcomeStream(self.client, self.agent_name, params or {}, limits or CollectorLimits())
        outcomes = stream.of(rows.work(itertools.chain(first, given)))
        self._open.add(stream)
        try:
            async for outcome in outcomes:
                yield RolloutResult.of(outcome, rows.row_of(outcome.key[0]))
        finally:
            self._open.discard(stream)
            await outcomes.aclose()

    def example_tasks(self) -> list[dict[str, Any]]:
        """Return the rows of the example datasets of the configuration, and of example tasks that nobody lists."""
        paths = [
            (Path(dataset.jsonl_fpath), instance.name)
            for instance in self._config.instances
            for dataset in instance.datasets
            if dataset.type == "example"
        ]
        found = dict.fromkeys(self._config.find_file(path, name) or path for path, name in paths)
        for instance in self._config.instances:
            path = unlisted_examples(instance.directory, found) if instance.kind == RESOURCES_KIND else None
            if path is not None:
                found[path] = None
        return [task.row() for path in found for task in read_tasks(path)]

    async def _check(self, first: list[Task]) -> None:
        if self.agent_name is None and first and agent_of(first[0].row()) is None:
            fix = "gym(..., agent_name=...), or an agent_ref in each row"
            raise ConfigError(Mistake("there are several agents, or none", "agent_name", self.agents, fix))
        if self._preflight:
            mistakes = await find_mistakes(self.client, first, self.agent_name)
            if mistakes:
                raise ConfigError(*mistakes)
            self._preflight = False  # it costs a model call, and what it looks for doesn't change


class _Rows:
    """The tasks that are being worked on."""

    def __init__(self, num_repeats: int) -> None:
        self._num_repeats = num_repeats
        self._tasks: dict[int, tuple[Task, int]] = {}

    def work(self, tasks: Iterator[Task]) -> Iterator[Work]:
        """Yield every repeat of every task."""
        for task in tasks:
            self._tasks[task.index] = task, self._num_repeats
            yield from (Work(task, rollout_index) for rollout_index in range(self._num_repeats))

    def row_of(self, index: int) -> Mapping[str, Any]:
        """Return a task of which one more rollout is done; `{}` for one that isn't a row."""
        task, left = self._tasks.pop(index)
        if left > 1:
            self._tasks[index] = task, left - 1
        try:
            return task.row()
        except ValueError:
            return {}


class GymOpening:
    """A gym that isn't up yet: `async with` gives a `Gym`; `with`, or `open()`, a `BlockingGym`."""

    def __init__(self, settings: GymSettings) -> None:
        self._settings = settings
        self._gym: Gym | None = None
        self._blocking: BlockingGym | None = None

    async def __aenter__(self) -> Gym:
        self._gym = await Gym.start(self._settings)
        return self._gym

    async def __aexit__(self, *exc_info: object) -> None:
        if self._gym is not None:
            await self._gym.close()

    def open(self) -> BlockingGym:
        """Return the gym for code without an event loop; it is up until its `close`, at the latest at exit."""
        return BlockingGym(lambda: Gym.start(self._settings))

    def __enter__(self) -> BlockingGym:
        self._blocking = self.open()
        return self._blocking

    def __exit__(self, *exc_info: object) -> None:
        if self._blocking is not None:
            self._blocking.close()


def gym(
    environment: Environments,
    model: ModelChoice | None = None,
    *,
    model_name: str | None = None,
    api_key: str | None = None,
    agent_name: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> GymOpening:
    """Return a gym in this process, to be opened with `async with`, with `with`, or with `.open()`.

    Configuration, servers, agent loop and collector are those of the commands. The servers have no addresses: other
    processes can't call them.

    Args:
        environment: Name or folder of an environment, a configuration file, or several of them; or the class of an
            environment, whose name is then the instance's.
        model: The policy model: "local", an endpoint's URL, the name of a model at OpenAI, the configuration of a model
            server (`{"vllm_model": {...}}`), or a function that answers in its place. None: as configured.
        model_name: Name of the model at the URL; None: the only one there.
        api_key: Of the endpoint.
        agent_name: Agent of every rollout; None: the only one, or the one that each row names.
        config: Further keys of the configuration, e.g. `{"example_simple_weather": {...}}`.

    Raises:
        ConfigError: When it is opened, for what is wrong with the configuration.
        StartError: When it is opened, for a server that doesn't start.
    """
    return GymOpening(GymSettings(environment, model, model_name, api_key, agent_name, config or {}))
