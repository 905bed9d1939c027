"""The tools of an environment: which names may become a path, and what the environment itself offers to be called.

It is asked for its tools, so that no task row can declare a route that isn't a tool.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.response import failure_of
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.wire.json_object import JsonObject

MCP_PATH = "/mcp"
"""Where an environment serves its tools to clients of the Model Context Protocol."""
NEXT_TURN_PATH = "/next_turn"

RESERVED_PATHS = frozenset(
    {"/", "/health", "/tools", "/seed_session", NEXT_TURN_PATH, "/verify", "/close_session", MCP_PATH}
)
"""A policy can never reach these."""


MORE_TOOLS_HEADER = "x-nemo-gym-more-tools"
"""With `GET /tools`: "1" from an environment that has tools beyond the list, behind a route like `/{tool}`."""

_ONE_PATH_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def is_tool_name(name: str) -> bool:
    """Tell whether `/<name>` is one path segment, needs no escape, and isn't one of a resources server's own routes."""
    return _ONE_PATH_SEGMENT.fullmatch(name) is not None and f"/{name}" not in RESERVED_PATHS


_LISTS_NONE = (404, 405)


@dataclass(frozen=True)
class OfferedTools:
    """The tools of one environment as `GET /tools` lists them; `is_all`: it has no others."""

    tools: list[JsonObject]
    is_all: bool

    @classmethod
    async def ask(cls, client: ServerClient, server: str, deadline: Deadline) -> "OfferedTools":
        """Ask an environment; raises RolloutError when it does not answer."""
        answer = await client.get(server, "/tools", deadline=deadline)
        if answer.status in _LISTS_NONE:
            return cls([], is_all=False)  # an environment whose routes are all its own
        if not answer.ok:
            raise failure_of(answer)
        return cls(orjson.loads(answer.body), is_all=answer.headers.get(MORE_TOOLS_HEADER) != "1")

    def callable_among(self, declared: Iterable[JsonObject]) -> set[str]:
        """Return the names that a policy may call: of declared functions that are offered, and safe as a path."""
        names = {name for name in map(_function_name, declared) if name is not None and is_tool_name(name)}
        return names & {str(tool.get("name")) for tool in self.tools} if self.is_all else names


def _function_name(tool: JsonObject) -> str | None:
    name = tool.get("name")
    return name if tool.get("type", "function") == "function" and isinstance(name, str) else None
