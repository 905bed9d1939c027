"""What the run demands of every sandbox in it: `require_sandbox` of the configuration."""

import logging
import os
from functools import cache
from typing import Literal

import yaml

from nemo_gym.sandbox.result import SandboxLevel

RequiredLevel = Literal["strict", "best_effort"]
# As in nemo_gym.global_config, which can't be imported here: the configuration imports this package.
CONFIG_ENV = "NEMO_GYM_CONFIG_DICT"
REQUIRE_KEY = "require_sandbox"

_log = logging.getLogger("nemo_gym.sandbox")


def required_level(wanted: RequiredLevel) -> RequiredLevel:
    """Return what a sandbox must give: what the run says, else what its author wanted."""
    return _said_by_run(os.environ.get(CONFIG_ENV, "")) or wanted


@cache
def say_level(level: SandboxLevel) -> None:
    """Say, once in a process, what stands between model-written code and this machine."""
    _log.warning("model-written code runs at sandbox level %s", level)  # below `warning` nobody would read it


@cache
def _said_by_run(config: str) -> RequiredLevel | None:
    values = yaml.load(config, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if REQUIRE_KEY in config else None
    return values.get(REQUIRE_KEY) if isinstance(values, dict) else None
