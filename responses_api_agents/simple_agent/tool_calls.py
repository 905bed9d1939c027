"""One tool call of the policy, from the name it wrote to the text it reads.

What the policy did wrong is text it can read and recover from. What broke on our side is a failure of the rollout, or,
for a tool that raised or hung, text plus a mark on the rollout (`ToolTrouble`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

from nemo_gym.server_utils import Deadline, Failure, HttpResponse, RolloutError, failure_of
from responses_api_agents.simple_agent.environment import EnvironmentSession

_MAX_NAME_SHOWN = 80
_TOOL_FAILURES = ("tool_error", "tool_timeout")


@dataclass(frozen=True)
class ToolResult:
    """`text` for the policy; `failure` when the tool itself broke."""

    text: str
    failure: Failure | None = None


async def run_tool_call(
    session: EnvironmentSession,
    name: str,
    arguments: str,
    *,
    callable_tools: Collection[str],
    deadline: Deadline,
    max_chars: int,
) -> ToolResult:
    """Run one call; raises RolloutError when the environment is lost."""
    # What a model wrote is only ever compared.
    if name not in callable_tools:
        known = ", ".join(sorted(callable_tools)) or "none"
        return _error(f"there is no tool named {name[:_MAX_NAME_SHOWN]!r}; the tools are: {known}")
    try:
        parsed = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError as error:
        return _error(f"the arguments are not valid JSON: {error}")
    if not isinstance(parsed, dict):
        return _error(f"the arguments must be a JSON object, not {type(parsed).__name__}")
    try:
        answer = await session.call_tool(name, parsed, deadline)
    except RolloutError as error:
        if error.failure.kind not in _TOOL_FAILURES:
            raise
        return _broken(name, error.failure)
    return ToolResult(_cut(answer.body.decode("utf-8", "replace"), max_chars)) if answer.ok else _refusal(name, answer)


def _refusal(name: str, answer: HttpResponse) -> ToolResult:
    error = failure_of(answer)
    if error.failure.kind in _TOOL_FAILURES:
        return _broken(name, error.failure)
    if error.failure.kind == "input_invalid":
        return _error(_said(answer))
    raise error


def _broken(name: str, failure: Failure) -> ToolResult:
    reference = f" (reference {failure.request_id})" if failure.request_id else ""
    said = "did not answer in time" if failure.kind == "tool_timeout" else "failed"
    return ToolResult(_error(f"the tool {name} {said}{reference}").text, failure)


def _said(answer: HttpResponse) -> str:
    try:
        detail: Any = orjson.loads(answer.body).get("detail", "")
    except (orjson.JSONDecodeError, AttributeError):
        return f"refused with status {answer.status}"
    if isinstance(detail, list):  # FastAPI's validation errors
        parts = [f"{'.'.join(map(str, d.get('loc', [])[1:]))}: {d.get('msg')}" for d in detail]
        return "invalid arguments: " + "; ".join(parts)
    return detail if isinstance(detail, str) else orjson.dumps(detail).decode()


def _error(text: str) -> ToolResult:
    return ToolResult(orjson.dumps({"error": text}).decode())


def _cut(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    return f"{text[:max_chars]}… [cut: {len(text)} characters, of which {max_chars} are shown]"
