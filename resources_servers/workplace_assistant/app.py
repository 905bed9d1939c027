"""Workplace assistant: 27 tools of an office; what counts is the state in which the policy leaves it.

Reward: 1.0 when the policy's calls and those of the task's `ground_truth`, each played on fresh tables, end in the same
emails, events, plots, tasks and customers, else 0.0. Neither reading nor what the policy says makes a difference.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, Json, PrivateAttr

from nemo_gym.environments import BaseResourcesServerConfig, Environment, Rollout, ToolError, Verdict
from nemo_gym.server_utils import rollout_error
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.tool_arguments import tool_arguments
from resources_servers.workplace_assistant.analytics import AnalyticsTools
from resources_servers.workplace_assistant.customers import CustomerTools
from resources_servers.workplace_assistant.emails import EmailTools
from resources_servers.workplace_assistant.events import CalendarTools
from resources_servers.workplace_assistant.projects import ProjectTools
from resources_servers.workplace_assistant.reading import SHIPPED, read_workplace
from resources_servers.workplace_assistant.tables import Workplace

CHANGES = re.compile("_(send|delete|forward|reply|create|update|add)_")
"""Found in the names of the tools that change something."""


class WorkplaceAssistantConfig(BaseResourcesServerConfig):
    tables_path: Path = Field(default=SHIPPED, description="Folder of the CSV files that each session starts with.")


class ExpectedCall(BaseModel):
    """A call of the ground truth; `arguments` is an object, or one as JSON text."""

    model_config = ConfigDict(extra="allow")

    name: str
    arguments: str | JsonObject

    def read_arguments(self) -> JsonObject | None:
        """Return the object; None when the text holds none."""
        return tool_arguments(self.arguments) if isinstance(self.arguments, str) else self.arguments


GroundTruth = list[ExpectedCall] | Json[list[ExpectedCall]]


class WorkplaceAssistantServer(EmailTools, CalendarTools, AnalyticsTools, ProjectTools, CustomerTools, Environment):
    config: WorkplaceAssistantConfig
    _initial: Workplace = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Read the tables; raises ConfigError when they can't be used."""
        super().model_post_init(context)
        self._initial = read_workplace(self.config.tables_path.expanduser())

    async def new_state(self, ground_truth: GroundTruth | None = None) -> Workplace:
        await self._expected(ground_truth or [])  # a task that can't be scored ends here, before a model is asked
        return self._initial.copy()

    async def reward(self, rollout: Rollout, ground_truth: GroundTruth) -> Verdict:
        # Played again rather than read from the session, so that a stored rollout can be verified as well.
        reached = self._initial.copy()
        for call in rollout.calls:
            with suppress(ToolError):
                await self._play(call.name, call.arguments, reached)
        parts = reached.compare(await self._expected(ground_truth))
        return Verdict.of_parts(parts, gates=tuple(parts))

    async def _expected(self, ground_truth: Iterable[ExpectedCall]) -> Workplace:
        """Return what a task wants; raises the `input_invalid` failure when its calls don't fit the tables."""
        workplace = self._initial.copy()
        for number, call in enumerate(ground_truth):
            try:
                await self._play(call.name, call.read_arguments(), workplace)
            except ToolError as error:
                # Skipped, it would leave nothing to do, and a policy that does nothing would be right.
                what = f"ground_truth[{number}], {call.name}, can't be done: {error.detail.rstrip('.')}"
                fix = f"tables_path must be the tables that the task was made for; it is {self.config.tables_path}"
                raise rollout_error("input_invalid", f"{what}; {fix}") from error
        return workplace

    async def _play(self, name: str, arguments: JsonObject | None, workplace: Workplace) -> None:
        """Make a call, unless it only reads; raises ToolError when it can't be made."""
        if name in self.tools and not CHANGES.search(name):
            return
        if arguments is None:
            raise ToolError("The arguments are not a JSON object.")
        await self.call_tool(name, arguments, workplace)


if __name__ == "__main__":
    WorkplaceAssistantServer.run_webserver()
