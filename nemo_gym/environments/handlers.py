"""The handlers of an environment, made from its methods: what they ask for is taken from the request."""

import inspect
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, create_model

from nemo_gym.base_resources_server import ToolError
from nemo_gym.environments.cpu_heavy import call_elsewhere, check_cpu_heavy, verifier_options
from nemo_gym.environments.heavy_work.outcome import WorkLimitExceeded
from nemo_gym.environments.rollout import Rollout
from nemo_gym.environments.tools import STATE, ToolMethod, typed_parameters
from nemo_gym.environments.turns import UserReply, user_message
from nemo_gym.environments.verdict import Verdict
from nemo_gym.wire.environment import (
    BaseSeedSessionRequest,
    BaseSeedSessionResponse,
    BaseVerifyRequest,
    BaseVerifyResponse,
    NextTurnRequest,
    UserTurn,
)
from nemo_gym.wire.failure import RolloutError
from nemo_gym.wire.json_object import JsonObject

_ROLLOUT, _TASK, NEXT_TURN, REWARD = "rollout", "task", "next_turn", "reward"

StateOf = Callable[[Any, Request], Any]
"""Returns the state that an environment keeps for the session of a request."""


def _body_model(owner: type, function: Callable[..., Any], base: type[BaseModel], suffix: str) -> Any:
    """Return the class of a request body with the fields of the task that a method names."""
    parameters = typed_parameters(function, f"{owner.__name__}.{function.__name__}")
    fields: dict[str, Any] = {k: v for k, v in parameters.items() if k not in (_ROLLOUT, STATE, _TASK)}
    if _TASK in parameters:
        task = parameters[_TASK][0]
        if not (isinstance(task, type) and issubclass(task, BaseModel)):
            raise TypeError(
                f"{owner.__name__}.{function.__name__}: `task` must be a pydantic model of the task's fields"
            )
        fields |= {name: (info.annotation, info) for name, info in task.model_fields.items()}
    return create_model(f"{owner.__name__}{suffix}", __base__=base, **fields)


def _given(function: Callable[..., Any], body: BaseModel, **own: Any) -> dict[str, Any]:
    """Return the arguments that a method asks for: some of ours, and fields of the body."""
    names = list(inspect.signature(function).parameters)[1:]
    given = {name: own[name] if name in own else getattr(body, name) for name in names if name != _TASK}
    if _TASK in names:
        task = typed_parameters(function, function.__name__)[_TASK][0]
        given[_TASK] = task.model_construct(**{name: getattr(body, name) for name in task.model_fields})
    return given


def verify_handler(owner: type, function: Callable[..., Any], state_of: StateOf) -> Any:
    """Return the `verify` of a class whose method `reward` is `function`."""
    body_model = _body_model(owner, function, BaseVerifyRequest, "VerifyRequest")
    if verifier_options(function).cpu_heavy:
        check_cpu_heavy(owner, function)
        return _annotated(_heavy_verifier(function, state_of), body_model, BaseVerifyResponse, "verify")
    return _rollout_handler(function, state_of, body_model, _verdict, BaseVerifyResponse, "verify")


def _heavy_verifier(function: Callable[..., Any], state_of: StateOf) -> Any:
    takes_state = STATE in inspect.signature(function).parameters
    over_limit = verifier_options(function).reward_over_limit

    async def handle(self: Any, request: Request, body: Any) -> Any:
        state = state_of(self, request) if takes_state else None
        try:
            row = await call_elsewhere(self.heavy_work, type(self), REWARD, self.config, body, state)
        except WorkLimitExceeded:
            if over_limit is None:
                raise
            row = {"reward": over_limit}
        return _answer(body, row)

    return handle


def verdict_row(environment: Any, body_json: str, state: Any) -> JsonObject:
    """Return the fields that an environment's `reward` adds to a rollout, for a verify request as JSON."""
    function = type(environment).reward
    body = type(environment).verify.__annotations__["body"].model_validate_json(body_json)
    return _row(function(environment, **_given(function, body, rollout=Rollout(body), state=state)))


def turn_handler(owner: type, function: Callable[..., Any], state_of: StateOf) -> Any:
    """Return the handler of `/next_turn`, as a method, of a class whose method `next_turn` is `function`."""
    body_model = _body_model(owner, function, NextTurnRequest, "NextTurnRequest")
    return _rollout_handler(function, state_of, body_model, _turn, UserTurn, NEXT_TURN)


def _rollout_handler(
    function: Callable[..., Any],
    state_of: StateOf,
    body_model: Any,
    finish: Callable[[Any, Any], Any],
    returned: type[BaseModel],
    name: str,
) -> Any:
    """Return the handler that gives a rollout so far to a method; `finish` gets the body and what that returned."""
    takes_state = STATE in inspect.signature(function).parameters

    def arguments(self: Any, request: Request, body: Any) -> dict[str, Any]:
        own = {_ROLLOUT: Rollout(body), **({STATE: state_of(self, request)} if takes_state else {})}
        return _given(function, body, **own)

    async def handle_later(self: Any, request: Request, body: Any) -> Any:
        return finish(body, await function(self, **arguments(self, request, body)))

    def handle(self: Any, request: Request, body: Any) -> Any:
        return finish(body, function(self, **arguments(self, request, body)))

    return _annotated(handle_later if inspect.iscoroutinefunction(function) else handle, body_model, returned, name)


def _verdict(body: BaseVerifyRequest, reward: Any) -> Any:
    return _answer(body, _row(reward))


def _row(reward: Any) -> JsonObject:
    return reward.row() if isinstance(reward, Verdict) else {"reward": _number(reward)}


def _answer(body: BaseVerifyRequest, row: JsonObject) -> Any:
    known = {name: getattr(body, name) for name in type(body).model_fields}
    # A verdict may say a field of the task anew, as it was understood.
    return BaseVerifyResponse.model_construct(**{**known, **(body.model_extra or {}), **row})


def _number(reward: Any) -> Any:
    return float(reward) if isinstance(reward, bool | int) else reward


def _turn(body: NextTurnRequest, said: Any) -> UserTurn:
    reply = said if isinstance(said, UserReply) else UserReply(said)
    return UserTurn(message=user_message(reply.content), usage=reply.usage)


def seed_handler(owner: type, function: Callable[..., Any], keep: Callable[[Any, Request, Any], None]) -> Any:
    """Return the `seed_session` of a class whose method `new_state` is `function`; `keep` gets what it returns."""
    body_model = _body_model(owner, function, BaseSeedSessionRequest, "SeedRequest")

    async def seed_later(self: Any, request: Request, body: Any) -> BaseSeedSessionResponse:
        keep(self, request, await function(self, **_given(function, body)))
        return BaseSeedSessionResponse()

    def seed(self: Any, request: Request, body: Any) -> BaseSeedSessionResponse:
        keep(self, request, function(self, **_given(function, body)))
        return BaseSeedSessionResponse()

    return _annotated(
        seed_later if inspect.iscoroutinefunction(function) else seed,
        body_model,
        BaseSeedSessionResponse,
        "seed_session",
    )


def tool_handler(environment: Any, tool: ToolMethod, state_of: StateOf) -> Any:
    """Return the handler of a tool's route."""

    def state(request: Request) -> Any:
        return state_of(environment, request) if tool.takes_state else None

    async def handle_later(request: Request, body: Any) -> Any:
        return _result(await tool.call(environment, body, state(request)))

    def handle(request: Request, body: Any) -> Any:
        return _result(tool.call(environment, body, state(request)))

    async def handle_elsewhere(request: Request, body: Any) -> Any:
        return _result(await _call_heavy_tool(environment, tool, body))

    is_later = inspect.iscoroutinefunction(tool.function)
    handler: Any = handle_elsewhere if tool.cpu_heavy else handle_later if is_later else handle
    return _annotated(handler, tool.arguments, Any, tool.name, tool.description)


async def _call_heavy_tool(environment: Any, tool: ToolMethod, body: BaseModel) -> Any:
    try:
        return await call_elsewhere(environment.heavy_work, type(environment), tool.name, environment.config, body)
    except WorkLimitExceeded as error:
        # Its arguments ask for too much: something the policy can read, and do otherwise.
        raise ToolError(f"{tool.name} was stopped: {error}") from error
    except RolloutError as error:
        kind = _KIND_IN_TOOL.get(error.failure.kind, error.failure.kind)
        raise RolloutError(error.failure.model_copy(update={"kind": kind})) from error


_KIND_IN_TOOL = {"verifier_error": "tool_error", "verifier_timeout": "tool_timeout"}


def _result(value: Any) -> Any:
    return Response(value, media_type="text/plain") if isinstance(value, str) else value


def _annotated(handler: Any, body: type[BaseModel], returned: Any, name: str, description: str | None = None) -> Any:
    """Give a handler the types of its body and of what it returns, which are known only now."""
    handler.__annotations__ = {"request": Request, "body": body, "return": returned}
    handler.__name__, handler.__qualname__, handler.__doc__ = name, name, description
    return handler
