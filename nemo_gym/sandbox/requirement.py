"""What the run demands of every sandbox in it: `require_sandbox` of the configuration."""

import logging
import os
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

from nemo_gym.config.env_names import CONFIG_FILE_ENV, NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME
from nemo_gym.sandbox.result import SandboxLevel

RequiredLevel = Literal["strict", "best_effort"]
REQUIRE_KEY = "require_sandbox"

_log = logging.getLogger("nemo_gym.sandbox")


def required_level(wanted: RequiredLevel) -> RequiredLevel:
    """Return what a sandbox must give: what the run says, else what its author wanted."""
    return _said_by_run(_configuration()) or wanted


def _configuration() -> str:
    # As nemo_gym.global_config reads it, which can't be imported here: the configuration imports this package.
    text, path = (os.environ.get(name, "") for name in (NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME, CONFIG_FILE_ENV))
    # An OSError passes: without the file nobody knows what the run demands.
    return text if text or not path else Path(path).read_text(encoding="utf-8")


@cache
def say_level(level: SandboxLevel) -> None:
    """Say, once in a process, what stands between model-written code and this machine."""
    _log.warning("model-written code runs at sandbox level %s", level)  # below `warning` nobody would read it


@cache
def _said_by_run(config: str) -> RequiredLevel | None:
    values = yaml.load(config, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if REQUIRE_KEY in config else None
    return values.get(REQUIRE_KEY) if isinstance(values, dict) else None
