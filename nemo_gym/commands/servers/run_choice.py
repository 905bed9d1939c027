"""Which of the runs on this machine a command is about."""

from pydantic import BaseModel, ConfigDict, Field


class HeadChoice(BaseModel):
    """Names a run by its head."""

    model_config = ConfigDict(extra="forbid")

    port: int | None = Field(default=None, ge=1, le=65535)


class RunChoice(BaseModel):
    """Parameters of commands about runs that are up."""

    head_server: HeadChoice = Field(
        default=HeadChoice(), description="head_server.port=... picks the run whose head has this port."
    )
