"""The `when` of rules and faults: which requests are meant."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from responses_api_models.scripted_model.conversation import Conversation


class Condition(BaseModel):
    """Holds when everything given holds; with nothing given (or written as `any`) it always holds."""

    model_config = ConfigDict(extra="forbid")

    last_user_matches: re.Pattern[str] | None = Field(
        default=None, description="Regex searched in the last user message; its named groups fill the answer's $names."
    )
    has_tool_result: bool | None = Field(
        default=None, description="Whether a tool result follows the last user message."
    )
    tools_include: str | None = Field(default=None, description="Name of a tool the request declares.")
    step: int | None = Field(default=None, ge=0, description="Model calls since the last user message; 0 is the first.")

    def match(self, conversation: Conversation) -> Mapping[str, str] | None:
        """Return the captured texts by group name (empty: none captured), or None when the condition does not hold."""
        if self.step is not None and self.step != conversation.step:
            return None
        if self.has_tool_result is not None and self.has_tool_result != conversation.has_tool_result:
            return None
        if self.tools_include is not None and not conversation.declares_tool(self.tools_include):
            return None
        if self.last_user_matches is None:
            return {}
        found = self.last_user_matches.search(conversation.last_user_text())
        return None if found is None else found.groupdict(default="")


def _any_as_nothing(written: Any) -> Any:
    return {} if written == "any" else written


When = Annotated[Condition, BeforeValidator(_any_as_nothing)]
"""A condition as written in YAML: a mapping, or the word `any`."""
