"""Bounds of heavy work."""

import os

from pydantic import BaseModel, ConfigDict, Field


class HeavyWorkConfig(BaseModel):
    """Bounds of heavy work."""

    model_config = ConfigDict(extra="forbid")

    max_processes: int = Field(
        default=min(8, os.cpu_count() or 1),
        ge=1,
        description="Functions at a time, each in a process of its own. On a Ray cluster, its CPUs count instead.",
    )
    max_waiting: int = Field(default=4096, ge=1, description="Calls that wait for a process; more are refused.")
    cpu_limit_s: float = Field(
        default=10.0,
        gt=0,
        description="CPU time one call may take, in seconds, rounded up: more is the answer's fault.",
    )
    wall_limit_s: float = Field(
        default=120.0, gt=0, description="Longest one call may take on the clock, in seconds: more is a failure."
    )
    memory_limit_bytes: int = Field(default=4 << 30, ge=1 << 27, description="Address space of one process.")
