"""Methods that compute for long, `@verifier(cpu_heavy=True)` and `@tool(cpu_heavy=True)`: called as heavy work.

The process of heavy work makes an environment of its own from the same class and settings, and calls the method there.
"""

import base64
import inspect
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, overload

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from nemo_gym.base_resources_server import ToolError
from nemo_gym.environments.heavy_work.executor import HeavyWork
from nemo_gym.environments.heavy_work.job import Job
from nemo_gym.wire.failure import Failure, RolloutError, rollout_error
from nemo_gym.wire.json_object import JsonObject

Method = TypeVar("Method", bound=Callable[..., Any])
_MARK = "nemo_gym_verifier"


@dataclass(frozen=True)
class VerifierOptions:
    """What `@verifier` was given."""

    cpu_heavy: bool = False
    reward_over_limit: float | None = None


@overload
def verifier(method: Method) -> Method: ...


@overload
def verifier(*, cpu_heavy: bool = False, reward_over_limit: float | None = None) -> Callable[[Method], Method]: ...


def verifier(method: Method | None = None, *, cpu_heavy: bool = False, reward_over_limit: float | None = None) -> Any:
    """Say how the method `reward` of an environment is to be called.

    Args:
        method: The method, where the decorator is used without brackets.
        cpu_heavy: It computes for long: call it in a process of its own, which is killed when the call takes too long;
            where the run uses a Ray cluster, on any of its nodes. It is a plain `def`, sees the environment's settings
            and not what else the server keeps in `self`, and gets a copy of the session's state.
        reward_over_limit: Reward where an answer makes it take more CPU time or memory than `heavy_work` allows; None:
            the rollout fails.
    """

    def mark(function: Method) -> Method:
        setattr(function, _MARK, VerifierOptions(cpu_heavy, reward_over_limit))
        return function

    return mark if method is None else mark(method)


def verifier_options(function: Callable[..., Any]) -> VerifierOptions:
    """Return what `@verifier` was given for a method; the defaults where it isn't marked."""
    found = getattr(function, _MARK, None)
    return found if isinstance(found, VerifierOptions) else VerifierOptions()


def check_cpu_heavy(owner: type, function: Callable[..., Any]) -> None:
    """Raise TypeError where a method can't be called in another process."""
    where = f"{owner.__name__}.{function.__name__}"
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{where}: a cpu_heavy method computes and waits for nobody; write `def`, not `async def`")
    if "." in owner.__qualname__:
        raise TypeError(f"{where} is cpu_heavy: {owner.__name__} must be defined at the top level of its module")


async def call_elsewhere(
    heavy_work: HeavyWork, owner: type, method: str, config: BaseModel, body: BaseModel, state: Any = None
) -> Any:
    """Return what `owner.called_as_heavy_work` returns for a method, called in another process.

    Raises:
        WorkError: The method raised, or took more than it may.
        ToolError: It refused.
        RolloutError: It raised that, or the work couldn't be done; as `HeavyWork.run`.
    """
    arguments = (method, _json_of(config), _json_of(body), _pickled(state, owner))
    said = await heavy_work.run_job(Job.of_class(owner, "called_as_heavy_work", arguments))
    if "refused" in said:
        raise ToolError(said["refused"])
    if "failure" in said:
        raise RolloutError(Failure.model_validate(said["failure"]))
    return said["result"]


def outcome_of(call: Callable[[], Any]) -> JsonObject:
    """Call, in the process of heavy work, and return what happened as JSON."""
    try:
        return {"result": to_jsonable_python(call())}
    except ToolError as error:
        return {"refused": error.detail}
    except RolloutError as error:
        return {"failure": error.failure.model_dump(mode="json")}


@cache
def environment_here(owner: Any, config: str) -> Any:
    """Return the environment of this process, made of a class and its settings as JSON."""
    return owner(config=owner.model_fields["config"].annotation.model_validate_json(config))


def state_here(pickled: str | None, owner: type) -> Any:
    """Return the state that came with a call."""
    return None if pickled is None else _Unpickler(io.BytesIO(base64.b64decode(pickled)), owner.__module__).load()


class _Unpickler(pickle.Unpickler):
    """Reads what the server wrote, whose own script it knows as `__main__`."""

    def __init__(self, file: io.BytesIO, main: str) -> None:
        super().__init__(file)
        self._main = main

    def find_class(self, module_name: str, global_name: str) -> Any:
        return super().find_class(self._main if module_name == "__main__" else module_name, global_name)


def _json_of(model: BaseModel) -> str:
    return model.model_dump_json()


def _pickled(state: Any, owner: type) -> str | None:
    try:
        return None if state is None else base64.b64encode(pickle.dumps(state)).decode()
    except Exception as error:  # pickle raises whatever the state's own classes raise
        reason = f"{owner.__name__}: the state can't be sent to the process of a cpu_heavy method: {error}"
        raise rollout_error("verifier_error", reason) from error
