"""An environment in this process: the real app with its sessions, the real agent, and policies that a test writes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any, Self, cast

import orjson
from omegaconf import DictConfig

from nemo_gym import PARENT_DIR
from nemo_gym.config.keys import AGENTS_KIND, MODELS_KIND, RESOURCES_KIND
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.launch.processes.component_module import served_class
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.response import HttpResponse, failure_of
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.serving.server import SimpleServer
from nemo_gym.servers.sessions.environment import EnvironmentClient
from nemo_gym.testing.policy import Played, Policy, PolicyModel, playing
from nemo_gym.testing.session import DEADLINE, Scored, Session
from nemo_gym.testing.sync import Blocking
from nemo_gym.testing.words import Item, task
from nemo_gym.wire.environment import RawRunRequest
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses import NeMoGymResponse

POLICY, AGENT = "policy_model", "simple_agent"
_NOWHERE = {"host": "127.0.0.1", "port": 1}
_MAX_STEPS = 100


def environment(
    server_class: type[SimpleServer],
    *,
    models: Mapping[str, Policy | SimpleServer] | None = None,
    agent: Mapping[str, Any] | None = None,
    **settings: Any,
) -> "InProcess":
    """Return an environment for `async with`; with plain `with` it has the same methods without `await`.

    Args:
        server_class: Of any resources server, in the short style or not.
        models: Other models by instance name, such as a judge: a policy each, or a model server.
        agent: Settings of the simple agent that drives rollouts.
        settings: Of the server, as its configuration has them; `name` is its instance name.
    """
    return InProcess(server_class, models or {}, agent or {}, settings)


class InProcess:
    """An environment while its `with` block runs.

    A task is given as its prompt and its fields, or as a whole row, whose fields others replace: see
    `nemo_gym.testing.task`.
    """

    def __init__(
        self,
        server_class: type[SimpleServer],
        models: Mapping[str, Policy | SimpleServer],
        agent: Mapping[str, Any],
        settings: Mapping[str, Any],
    ) -> None:
        self.name = str(settings.get("name", "environment"))
        names = (self.name, AGENT, POLICY, *models)
        self.client = _client(names)
        base = {"host": "", "port": 0, "entrypoint": "app.py", **settings, "name": self.name}
        self.server = _built(server_class, base, self.client)
        self._agent = _built(_agent_class(), _agent_settings(self.name, agent), self.client)
        servers = {name: m if isinstance(m, SimpleServer) else PolicyModel.named(name, m) for name, m in models.items()}
        self.app = self.server.setup_webserver()
        self._apps = {name: model.setup_webserver() for name, model in servers.items()}
        self._apps |= {self.name: self.app, AGENT: self._agent.setup_webserver()}
        self._apps.setdefault(POLICY, PolicyModel.named(POLICY).setup_webserver())
        self._seeding = EnvironmentClient(self.client, self.name)
        self._open = AsyncExitStack()
        self._blocking: Blocking | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as starting:
            for app in self._apps.values():
                await starting.enter_async_context(app.router.lifespan_context(app))
            self.client.use_local_apps(self._apps)
            self._open = starting.pop_all()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._open.__aexit__(*error)

    def __enter__(self) -> "Blocking":
        self._blocking = Blocking(self)
        return self._blocking.start()

    def __exit__(self, *error: Any) -> None:
        if self._blocking is not None:
            self._blocking.stop()

    async def tools(self) -> list[JsonObject]:
        """Return the tools as the policy reads them: name, description, JSON schema."""
        return (await self._seeding.offered_tools(DEADLINE)).tools

    @asynccontextmanager
    async def session(self, row: Any = "Hello.", /, **fields: Any) -> AsyncIterator[Session]:
        """Open a session for a task; it is closed at the end of the block."""
        given = task(row, **fields)
        opened = self._seeding.session()
        try:
            await opened.seed(RawRunRequest.json_unchecked(orjson.dumps(given)), DEADLINE)
            offered = await self._seeding.offered_tools(DEADLINE)
            yield Session(opened, given, offered.callable_among(offered.tools))
        finally:
            await opened.close()

    async def verdict(self, response: NeMoGymResponse | Item | str, row: Any = "Hello.", /, **fields: Any) -> Scored:
        """Return the verdict on a Response, in a session of its own; its calls are read, not made."""
        async with self.session(row, **fields) as session:
            return await session.verdict(response)

    async def verify(self, response: NeMoGymResponse | Item | str, row: Any = "Hello.", /, **fields: Any) -> float:
        """Return the reward of a Response; arguments as in `verdict`."""
        return (await self.verdict(response, row, **fields)).reward

    async def rollout(self, policy: Policy, row: Any = "Hello.", /, **fields: Any) -> Scored:
        """Roll a task out with the simple agent: tools are really called, and the policy answers as it is told.

        Raises:
            RolloutError: The rollout failed.
            Exception: What the policy itself raised; an AssertionError where it has too few answers.
        """
        played = Played(policy)
        answer = await asyncio.create_task(self._run(played, task(row, **fields)))
        if played.error is not None:
            raise played.error
        if not answer.ok:
            raise failure_of(answer)
        return Scored(orjson.loads(answer.body))

    async def _run(self, played: Played, row: JsonObject) -> HttpResponse:
        playing.set(played)  # in the context of this task alone, which the calls inside inherit
        return await self.client.post(AGENT, "/run", json=row, deadline=DEADLINE)


def _client(names: tuple[str, ...]) -> ServerClient:
    kinds = {0: RESOURCES_KIND, 1: AGENTS_KIND}
    known = {name: {kinds.get(number, MODELS_KIND): {name: _NOWHERE}} for number, name in enumerate(names)}
    return ServerClient(BaseServerConfig(host="127.0.0.1", port=1), DictConfig(known), RunAccess("in-process"))


def _built(server_class: type[SimpleServer], settings: Mapping[str, Any], client: ServerClient) -> SimpleServer:
    config_class = cast(Any, server_class.model_fields["config"].annotation)
    return server_class(config=config_class.model_validate(dict(settings)), server_client=client)


@cache
def _agent_class() -> type[SimpleServer]:
    return served_class(PARENT_DIR / AGENTS_KIND / AGENT / "app.py")


def _agent_settings(environment_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{"host": "", "port": 0, "entrypoint": "app.py", "name": AGENT, "max_steps": _MAX_STEPS},
        "resources_server": {"type": RESOURCES_KIND, "name": environment_name},
        "model_server": {"type": MODELS_KIND, "name": POLICY},
        "tools_from_resources_server": True,
        **given,
    }
