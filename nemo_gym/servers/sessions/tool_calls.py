"""One tool call of the policy, from the name it wrote to the text it reads.

What the policy did wrong is text it can read and recover from. What broke on our side is a failure of the rollout, or,
for a tool that raised or hung, text plus a failure that the agent's settings decide about (`ToolResult.failure`).
"""

from collections.abc import Collection
from dataclasses import dataclass

import orjson

from nemo_gym.servers.http.response import HttpResponse, carried_failure, failure_of
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.servers.sessions.environment import EnvironmentSession
from nemo_gym.wire.failure import Failure, RolloutError
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.tool_arguments import ToolArgumentsError, parse_tool_arguments

_MAX_NAME_SHOWN = 80
_TOOL_FAILURES = ("tool_error", "tool_timeout")


@dataclass(frozen=True)
class ToolResult:
    """`text` for the policy; `failure` when the tool itself broke; `is_refusal`: it says why there is no result."""

    text: str
    failure: Failure | None = None
    is_refusal: bool = False


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
        parse_tool_arguments(arguments)
        response = await session.call_tool(name, arguments, deadline)
    except ToolArgumentsError as error:
        return _error(str(error))
    except RolloutError as error:
        if error.failure.kind not in _TOOL_FAILURES:
            raise
        return _broken(name, error.failure)
    if response.ok:
        return ToolResult(_shortened(response.body.decode("utf-8", "replace"), max_chars))
    return _refusal(name, response)


def _refusal(name: str, response: HttpResponse) -> ToolResult:
    carried = carried_failure(response)
    error = carried or failure_of(response)
    if error.failure.kind in _TOOL_FAILURES:
        return _broken(name, error.failure)
    if error.failure.kind == "input_invalid" or (carried is None and 400 <= response.status < 500):
        return _error(_said(response))
    raise error


def _broken(name: str, failure: Failure) -> ToolResult:
    reference = f" (reference {failure.request_id})" if failure.request_id else ""
    said = "did not answer in time" if failure.kind == "tool_timeout" else "failed"
    return ToolResult(_error(f"the tool {name} {said}{reference}").text, failure, is_refusal=True)


def _said(response: HttpResponse) -> str:
    """Return what a refusal says to the policy."""
    try:
        body = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        return f"refused with status {response.status}"
    detail = body.get("detail", body)
    if isinstance(detail, list) and all(isinstance(d, dict) and "msg" in d for d in detail):  # validation errors
        return "invalid arguments: " + "; ".join(_place(d) + str(d["msg"]) for d in detail)
    return detail if isinstance(detail, str) else orjson.dumps(detail).decode()


def _place(detail: JsonObject) -> str:
    where = detail.get("loc")
    keys = where[1:] if isinstance(where, list) else []
    return f"{'.'.join(map(str, keys))}: " if keys else ""


def _error(text: str) -> ToolResult:
    return ToolResult(orjson.dumps({"error": text}).decode(), is_refusal=True)


def _shortened(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    return f"{text[:max_chars]}… [cut: {len(text)} characters, of which {max_chars} are shown]"
