"""What an environment offers to be called: asked of it, so that no task row can declare a route that is no tool."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from nemo_gym.servers.answer import failure_of
from nemo_gym.servers.client import ServerClient
from nemo_gym.servers.tool_name import MORE_TOOLS_HEADER, is_tool_name
from nemo_gym.servers.transport import Deadline

_LISTS_NONE = (404, 405)


@dataclass(frozen=True)
class OfferedTools:
    """The tools of one environment as `GET /tools` lists them; `is_all`: it has no others."""

    tools: list[dict[str, Any]]
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

    def callable_among(self, declared: Iterable[dict[str, Any]]) -> set[str]:
        """Return the names that a policy may call: of declared functions that are offered, and safe as a path."""
        names = {name for name in map(_function_name, declared) if name is not None and is_tool_name(name)}
        return names & {str(tool.get("name")) for tool in self.tools} if self.is_all else names


def _function_name(tool: dict[str, Any]) -> str | None:
    name = tool.get("name")
    return name if tool.get("type", "function") == "function" and isinstance(name, str) else None
