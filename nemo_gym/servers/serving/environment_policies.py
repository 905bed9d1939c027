"""The policies of an environment's endpoints: what an exception means, how long each may take."""

import math
from numbers import Real
from typing import Any, Protocol

import orjson
from starlette.responses import Response

from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy, Wrap
from nemo_gym.wire.failure import rollout_error


class TimeLimits(Protocol):
    """The settings of an environment that bound its endpoints, in seconds."""

    name: str
    tool_timeout_s: float
    turn_timeout_s: float
    verify_timeout_s: float


def tool_policy(of: TimeLimits, wrap: Wrap | None) -> EndpointPolicy:
    """Return the policy of a tool."""
    setting = f"{of.name}.tool_timeout_s"
    return EndpointPolicy(of.name, "tool_error", "agent", of.tool_timeout_s, setting, "tool_timeout", wrap)


def turn_policy(of: TimeLimits, wrap: Wrap | None) -> EndpointPolicy:
    """Return the policy of what gives the user's next message."""
    setting = f"{of.name}.turn_timeout_s"
    return EndpointPolicy(
        of.name, "turn_error", "agent", of.turn_timeout_s, setting, "turn_timeout", wrap, passes_token_arrays=True
    )


def verify_policy(of: TimeLimits, wrap: Wrap | None, *, passes_token_arrays: bool) -> EndpointPolicy:
    """Return the policy of the verifier."""

    def checked(answer: Any) -> Any:
        reward = _reward(answer)
        if type(reward) is float and math.isfinite(reward):
            return answer
        if isinstance(reward, Real) and not isinstance(reward, bool) and math.isfinite(reward):
            return answer
        raise rollout_error("verifier_error", f"the verifier of {of.name} gave {reward!r} as the reward")

    return EndpointPolicy(
        of.name,
        "verifier_error",
        "verification",
        of.verify_timeout_s,
        f"{of.name}.verify_timeout_s",
        "verifier_timeout",
        wrap,
        checked,
        passes_token_arrays,
    )


def _reward(answer: Any) -> Any:
    if isinstance(answer, Response):  # a verifier that made its own answer, or one that FastAPI called
        try:
            answer = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            return None
    return answer.get("reward") if isinstance(answer, dict) else getattr(answer, "reward", None)
