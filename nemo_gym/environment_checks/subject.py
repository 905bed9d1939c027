"""What is checked: an environment that can be started anew, its tasks, and the solutions of those."""

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, TypeAdapter

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.testing.in_process import InProcess
from nemo_gym.testing.policy import Answer, Policy, answer_items
from nemo_gym.testing.session import Scored
from nemo_gym.wire.failure import RolloutError
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses_items import NeMoGymResponseFunctionToolCall

SOLUTION = "solution"
_ENDING = "Done."


@dataclass(frozen=True)
class Subject:
    """An environment under check.

    Attributes:
        name: For the report.
        start: Returns the environment, fresh each time.
        tasks: The tasks that are rolled out.
        max_reward: What a solved task is worth.
        data: Task files whose rows are checked; empty: the tasks are.
        restart_command: Prints the rewards in a process of its own; None: a fresh server in this one stands for it.
    """

    name: str
    start: Callable[[], InProcess]
    tasks: Sequence[JsonObject]
    max_reward: float = 1.0
    data: Sequence[Path] = ()
    restart_command: Sequence[str] | None = field(default=None)


@dataclass(frozen=True)
class Outcome:
    """What a rollout came to: a reward and the tools' results, or why there is none."""

    reward: float | None
    outputs: tuple[str | None, ...] = ()
    error: str | None = None

    def __str__(self) -> str:
        return f"{self.reward:g}" if self.reward is not None else str(self.error)


async def play(env: InProcess, policy: Policy, task: Mapping[str, Any]) -> Outcome:
    """Roll a task out; a rollout that fails is an outcome as well."""
    try:
        scored: Scored = await env.rollout(policy, task)
    except (RolloutError, AssertionError, ValueError) as error:
        return Outcome(None, error=str(error))
    return Outcome(scored.reward, tuple(call.output for call in scored.calls))


async def solutions(env: InProcess, tasks: Sequence[JsonObject]) -> list[list[Answer] | None]:
    """Return the steps that solve each task: of the environment's method `solution`, else of the task's field.

    The method names the fields of the task that it needs, or `task`, a pydantic model of them. Steps are answers of a
    policy (`nemo_gym.testing.Answer`): one, or a list of them. After a last step with a call comes a message.

    Raises:
        ConfigError: One isn't a solution.
    """
    method = getattr(env.server, SOLUTION, None)
    found = []
    for index, task in enumerate(tasks):
        try:
            found.append(_steps(task.get(SOLUTION) if method is None else await _computed(method, task)))
        except ValueError as error:
            fix = f"a {SOLUTION} is a list of {{message: …}} and {{call: {{name, arguments}}}}"
            raise ConfigError(Mistake(str(error), where=f"{SOLUTION} of task {index}", fix=fix)) from error
    return found


async def _computed(method: Callable[..., Any], task: JsonObject) -> Any:
    hints = get_type_hints(method)
    given: dict[str, Any] = {}
    for name, parameter in inspect.signature(method).parameters.items():
        hint = hints.get(name, Any)
        if name == "task" and isinstance(hint, type) and issubclass(hint, BaseModel):
            given[name] = hint.model_validate(task)
        elif name in task:
            given[name] = TypeAdapter(hint).validate_python(task[name])
        elif parameter.default is parameter.empty:
            raise ValueError(f"the method `{SOLUTION}` needs {name}, which a task lacks: {sorted(task)}")
    steps = await asyncio.to_thread(method, **given)
    return await steps if inspect.isawaitable(steps) else steps


def _steps(given: Any) -> list[Answer] | None:
    if given is None:
        return None
    steps: list[Answer] = list(given) if isinstance(given, list | tuple) else [given]
    ends_with_call = bool(steps) and any(
        isinstance(item, NeMoGymResponseFunctionToolCall) for item in answer_items(steps[-1])
    )
    return [*steps, _ENDING] if ends_with_call else steps
