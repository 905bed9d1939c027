"""How a run is started: what the person may set, with defaults."""

from typing import Literal

from pydantic import BaseModel, Field

Isolate = Literal["always", "auto", "never"]


class LaunchOptions(BaseModel):
    """Bounds of start, restarts and stop. Times in seconds."""

    start_timeout_s: float = Field(default=120.0, gt=0, description="All servers must be ready within this time.")
    stop_timeout_s: float = Field(default=5.0, gt=0, description="Everything is stopped within this time.")
    isolate: Isolate = Field(
        default="auto",
        description="Own Python environments for servers: auto (where requirements ask for more than is installed), "
        "always, never.",
    )
    max_restarts: int = Field(default=3, ge=0, description="Restarts of a server that dies, within the window.")
    restart_window_s: float = Field(default=300.0, gt=0, description="Window for max_restarts.")
    colocate: bool = Field(default=False, description="All servers in one process, in memory for each other.")
    num_workers: int = Field(default=1, ge=1, description="With colocate: so many processes, each with all servers.")
