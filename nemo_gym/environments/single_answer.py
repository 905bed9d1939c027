"""The simplest environment: no tools, one answer, one function that scores it."""

import inspect
import typing
from collections.abc import Callable
from functools import partial
from typing import Any, overload

from nemo_gym.environments.cpu_heavy import VerifierOptions, verifier
from nemo_gym.environments.environment import Environment
from nemo_gym.environments.rollout import Rollout

ANSWER = "answer"


@overload
def single_answer(function: Callable[..., Any]) -> type[Environment]: ...


@overload
def single_answer(
    *, cpu_heavy: bool = False, reward_over_limit: float | None = None
) -> Callable[[Callable[..., Any]], type[Environment]]: ...


def single_answer(
    function: Callable[..., Any] | None = None, *, cpu_heavy: bool = False, reward_over_limit: float | None = None
) -> Any:
    """Return the environment in which a function of `answer` and of fields of the task gives the reward.

    Args:
        function: Its parameter `answer` is the policy's final message; the others are fields of the task, with type
            hints. It returns a float or a `Verdict`, and may be a coroutine function.
        cpu_heavy: It computes for long; as for `verifier`.
        reward_over_limit: As for `verifier`.

    Raises:
        TypeError: It has no parameter `answer`, or one without a type hint.
    """
    if function is None:
        return partial(_single_answer, options=VerifierOptions(cpu_heavy, reward_over_limit))
    return _single_answer(function, VerifierOptions(cpu_heavy, reward_over_limit))


def _single_answer(function: Callable[..., Any], options: VerifierOptions) -> type[Environment]:
    if ANSWER not in inspect.signature(function).parameters:
        raise TypeError(f"{function.__name__}: a parameter `answer` takes the policy's final message")

    if inspect.iscoroutinefunction(function):

        async def reward_later(self: Environment, rollout: Rollout, **task: Any) -> Any:
            return await function(answer=rollout.text, **task)

        return _environment(function, options, reward_later)

    def reward(self: Environment, rollout: Rollout, **task: Any) -> Any:
        return function(answer=rollout.text, **task)

    return _environment(function, options, reward)


def _environment(function: Callable[..., Any], options: VerifierOptions, reward: Any) -> type[Environment]:
    """Make the class; its `reward` shows the parameters of the function, so that its task fields are known."""
    own = [parameter for parameter in inspect.signature(function).parameters.values() if parameter.name != ANSWER]
    first = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", "rollout")]
    keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    hints = typing.get_type_hints(function, include_extras=True)
    reward.__signature__ = inspect.Signature([*first, *keyword])
    reward.__annotations__ = {"rollout": Rollout, **{p.name: hints[p.name] for p in own if p.name in hints}}
    marked = verifier(cpu_heavy=options.cpu_heavy, reward_over_limit=options.reward_over_limit)(reward)
    own_names = {"__doc__": function.__doc__, "__module__": function.__module__, "__qualname__": function.__qualname__}
    names = {"reward": marked, **own_names}
    return type(function.__name__, (Environment,), names)
