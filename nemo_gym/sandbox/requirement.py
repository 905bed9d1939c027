"""What the run demands of every sandbox in it: `require_sandbox` of the configuration."""

import logging
import os
from functools import cache
from typing import Literal

from nemo_gym.config.env_names import NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME
from nemo_gym.config.keys import REQUIRE_SANDBOX_KEY_NAME
from nemo_gym.config.reading.yaml_file import load_trusted_yaml
from nemo_gym.sandbox.result import SandboxLevel

RequiredLevel = Literal["strict", "best_effort"]

_log = logging.getLogger("nemo_gym.sandbox")


def required_level(wanted: RequiredLevel) -> RequiredLevel:
    """Return what a sandbox must give: what the run says, else what its author wanted."""
    return _said_by_run(os.environ.get(NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME, "")) or wanted


@cache
def say_level(level: SandboxLevel) -> None:
    """Say, once in a process, what stands between model-written code and this machine."""
    _log.warning("model-written code runs at sandbox level %s", level)  # below `warning` nobody would read it


@cache
def _said_by_run(config: str) -> RequiredLevel | None:
    values = load_trusted_yaml(config) if REQUIRE_SANDBOX_KEY_NAME in config else None
    return values.get(REQUIRE_SANDBOX_KEY_NAME) if isinstance(values, dict) else None
