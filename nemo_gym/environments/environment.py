"""An environment in the short style: a resources server whose routes are made from its methods."""

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from pydantic import PrivateAttr, ValidationError

from nemo_gym.base_resources_server import BaseResourcesServerConfig, SimpleResourcesServer, ToolError
from nemo_gym.config.env_names import RAY_ADDRESS_ENV
from nemo_gym.environments.cpu_heavy import environment_here, outcome_of, state_here
from nemo_gym.environments.handlers import (
    NEXT_TURN,
    REWARD,
    seed_handler,
    tool_handler,
    turn_handler,
    verdict_row,
    verify_handler,
)
from nemo_gym.environments.heavy_work import HeavyWork
from nemo_gym.environments.tools import STATE, ToolMethod, tool_methods, typed_parameters
from nemo_gym.wire.json_object import JsonObject


@dataclass
class _Kept:
    """What the registry holds for a session: the author's state, once it is made."""

    value: Any = None


class Environment(SimpleResourcesServer):
    """Subclasses mark tools with `@tool` and score in `reward`; the rest is made from those.

    `reward(self, rollout, state, <fields of the task>)` returns a float or a `Verdict`. It names what it needs:
    `rollout`, `state`, and fields of the task row with their type hints; or `task`, a pydantic model of those fields.

    A session has a state when a parameter `state` has a type. It is made for each session, by calling that type without
    arguments, or by `new_state(self, <fields of the task>)` where the class has one. `close_state(self, state)` gets it
    when the session ends, however it ends.

    `next_turn(self, rollout, state, <fields of the task>)`, where the class has it, is asked for the user's next
    message whenever the policy ends a turn with one.
    """

    config: BaseResourcesServerConfig
    verifier_reads_token_arrays: ClassVar[bool] = False

    tools: ClassVar[dict[str, ToolMethod]] = {}
    """By name."""
    _take_turn: ClassVar[Any] = None

    _heavy_work: HeavyWork | None = PrivateAttr(default=None)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.tools = tool_methods(cls)
        if cls.reward is not Environment.reward:
            cls.verify = verify_handler(cls, cls.reward, cls.state)  # type: ignore[method-assign]
        state_type = _state_type(cls)
        if state_type is not None:
            cls.session_state = (lambda: _Kept(state_type())) if cls.new_state is Environment.new_state else _Kept
        if cls.new_state is not Environment.new_state:
            cls.seed_session = seed_handler(cls, cls.new_state, cls._keep)  # type: ignore[method-assign]
        if cls.next_turn is not Environment.next_turn:
            cls._take_turn = turn_handler(cls, cls.next_turn, cls.state)

    def setup_webserver(self) -> FastAPI:
        """Return the app with a route for each tool."""
        app = super().setup_webserver()
        for tool in self.tools.values():
            app.post(f"/{tool.name}")(tool_handler(self, tool, type(self).state))
        if self._take_turn is not None:
            app.post(f"/{NEXT_TURN}")(self._take_turn)
        return app

    @property
    def heavy_work(self) -> HeavyWork:
        """Where functions run that may take long: `await self.heavy_work.run(function, …)`.

        Its bounds are the setting `heavy_work` of a configuration class that has one, a `HeavyWorkConfig`. An instance
        that says `ray_enabled: true` in a run that uses a Ray cluster has them run on its nodes.
        """
        if self._heavy_work is None:
            on_cluster = self.config.ray_enabled and RAY_ADDRESS_ENV in os.environ
            self._heavy_work = HeavyWork(getattr(self.config, "heavy_work", None), on_cluster=on_cluster)
        return self._heavy_work

    @classmethod
    def called_as_heavy_work(cls, method: str, config: str, body: str, state: str | None) -> JsonObject:
        """Call a cpu_heavy method, `reward` or the tool of a name, in the process of heavy work."""
        environment = environment_here(cls, config)
        if method == REWARD:
            return outcome_of(lambda: verdict_row(environment, body, state_here(state, cls)))
        tool = cls.tools[method]
        return outcome_of(lambda: tool.call(environment, tool.arguments.model_validate_json(body), None))

    @asynccontextmanager
    async def _running(self, app: FastAPI) -> AsyncIterator[None]:
        async with super()._running(app):
            try:
                yield
            finally:
                if self._heavy_work is not None:
                    await self._heavy_work.close()

    def state(self, request: Request) -> Any:
        """Return the state of the request's session; raises the `session_lost` failure when there is none."""
        return super().state(request).value

    def _keep(self, request: Request, value: Any) -> None:
        super().state(request).value = value

    async def call_tool(self, name: str, arguments: JsonObject, state: Any = None) -> Any:
        """Call a tool without a request, as when a verifier plays a rollout again on a fresh state.

        Raises:
            ToolError: There is no such tool, the arguments don't fit, or the tool refuses.
        """
        if name not in self.tools:
            raise ToolError(f"there is no tool named {name!r}")
        tool = self.tools[name]
        try:
            body = tool.arguments.model_validate(arguments)
        except ValidationError as error:
            raise ToolError("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error
        if inspect.iscoroutinefunction(tool.function):
            return await tool.call(self, body, state)
        return await asyncio.to_thread(tool.call, self, body, state)

    async def verify(self, *args: Any, **kwargs: Any) -> Any:
        """Give the verdict; made from `reward`."""
        raise NotImplementedError(f"{type(self).__name__} needs a method `reward`")

    # Written by authors with the parameters that they need.

    def reward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the reward of a rollout, a float or a `Verdict`; may be a coroutine function."""
        raise NotImplementedError

    def next_turn(self, *args: Any, **kwargs: Any) -> Any:
        """Return the user's next message, or None when the episode is over; may be a coroutine function.

        A message is a text, a list of content parts of the Responses API, or a `UserReply`.
        """
        raise NotImplementedError

    def new_state(self, *args: Any, **kwargs: Any) -> Any:
        """Return the state of a new session, made from fields of its task; may be a coroutine function."""
        raise NotImplementedError

    def close_state(self, state: Any) -> Any:
        """Clean up the state of a session; may be a coroutine function."""

    async def close_session(self, session_id: str, state: Any) -> None:
        """Hand the state to `close_state`."""
        if isinstance(state, _Kept):
            done = self.close_state(state.value)
            if inspect.isawaitable(done):
                await done


def _state_type(owner: type[Environment]) -> Callable[[], Any] | None:
    """Return the one type that parameters named `state` have; None where none asks for a state."""
    functions = [tool.function for tool in owner.tools.values()]
    functions += [
        own
        for own, inherited in (
            (owner.reward, Environment.reward),
            (owner.next_turn, Environment.next_turn),
            (owner.close_state, Environment.close_state),
        )
        if own is not inherited
    ]
    found: dict[str, Any] = {}
    for function in functions:
        parameters = typed_parameters(function, f"{owner.__name__}.{function.__name__}")
        if STATE in parameters:
            found[function.__name__] = parameters[STATE][0]
    types = list(dict.fromkeys(found.values()))
    if len(types) > 1:
        said = ", ".join(f"{name} has {getattr(kind, '__name__', kind)}" for name, kind in found.items())
        raise TypeError(f"{owner.__name__}: all parameters `state` must have the same type; {said}")
    if not types and owner.new_state is not Environment.new_state:
        return lambda: None
    return types[0] if types else None
