"""The simplest environment: no tools, one answer, one function that scores it."""

import inspect
import typing
from collections.abc import Callable
from typing import Any

from nemo_gym.environments.environment import Environment
from nemo_gym.environments.rollout import Rollout

ANSWER = "answer"


def single_answer(function: Callable[..., Any]) -> type[Environment]:
    """Return the environment in which a function of `answer` and of fields of the task gives the reward.

    Args:
        function: Its parameter `answer` is the policy's final message; the others are fields of the task, with type
            hints. It returns a float or a `Verdict`, and may be a coroutine function.

    Raises:
        TypeError: It has no parameter `answer`, or one without a type hint.
    """
    if ANSWER not in inspect.signature(function).parameters:
        raise TypeError(f"{function.__name__}: a parameter `answer` takes the policy's final message")

    if inspect.iscoroutinefunction(function):

        async def reward_later(self: Environment, rollout: Rollout, **task: Any) -> Any:
            return await function(answer=rollout.text, **task)

        return _environment(function, reward_later)

    def reward(self: Environment, rollout: Rollout, **task: Any) -> Any:
        return function(answer=rollout.text, **task)

    return _environment(function, reward)


def _environment(function: Callable[..., Any], reward: Any) -> type[Environment]:
    """Make the class; its `reward` shows the parameters of the function, so that its task fields are known."""
    own = [parameter for parameter in inspect.signature(function).parameters.values() if parameter.name != ANSWER]
    first = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", "rollout")]
    keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    hints = typing.get_type_hints(function, include_extras=True)
    reward.__signature__ = inspect.Signature([*first, *keyword])
    reward.__annotations__ = {"rollout": Rollout, **{p.name: hints[p.name] for p in own if p.name in hints}}
    names = {"reward": reward, "__doc__": function.__doc__, "__module__": function.__module__}
    return type(function.__name__, (Environment,), names)
