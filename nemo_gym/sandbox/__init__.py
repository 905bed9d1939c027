"""The one way to run code that a model wrote: bounded, without secrets, and gone afterwards. See docs/sandbox.md."""

from nemo_gym.sandbox.interface import (
    LimitName,
    RequiredLevel,
    SandboxError,
    SandboxLevel,
    SandboxLimits,
    SandboxResult,
    SandboxUnavailable,
)
from nemo_gym.sandbox.sandbox import Sandbox

__all__ = [
    "LimitName",
    "RequiredLevel",
    "Sandbox",
    "SandboxError",
    "SandboxLevel",
    "SandboxLimits",
    "SandboxResult",
    "SandboxUnavailable",
]
