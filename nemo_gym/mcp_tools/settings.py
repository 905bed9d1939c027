"""What is said of an MCP server that an environment takes tools from."""

import importlib.util
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.schema import MaskedRepr


class McpServerSettings(MaskedRepr):
    """One MCP server: a command that is started, or the URL of one that runs. Times in seconds."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, description="For errors and logs.")
    command: list[str] | None = Field(
        default=None, min_length=1, description="Program and arguments; `python` is the interpreter of the environment."
    )
    env: dict[str, str] = Field(default={}, description="Variables for the program, beside PATH, HOME and the like.")
    url: str | None = Field(default=None, description="Address of its streamable HTTP transport.")
    headers: dict[str, str] = Field(default={}, description="Sent with each request to the URL.")
    tools: list[str] | None = Field(default=None, description="Its tools that the environment offers; null: all.")
    prefix: str = Field(default="", description="Put before the names of its tools.")
    call_timeout_s: float = Field(default=60.0, gt=0, description="Longest one call may take.")
    start_timeout_s: float = Field(default=30.0, gt=0, description="It must list its tools within this time.")

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError(f"MCP server '{self.name}' needs either `command` or `url`")
        return self


def require_mcp(where: str) -> None:
    """Raise ConfigError when the official package isn't installed; `where` is the setting that needs it."""
    if importlib.util.find_spec("mcp") is None:
        fix = "pip install 'nemo-gym[mcp]', or write mcp>=2.3 into the environment's requirements.txt"
        raise ConfigError(Mistake("MCP needs the package mcp, which isn't installed", where=where, fix=fix))
