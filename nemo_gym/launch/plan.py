"""The plan of a run: every instance, where it listens, which environment it runs in, what its process is told."""

import os
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from nemo_gym import PARENT_DIR
from nemo_gym.config.instances import ServerInstance
from nemo_gym.config.load import RunConfig
from nemo_gym.config.secrets import mask_secrets
from nemo_gym.global_config import NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME, NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME
from nemo_gym.launch.environments import Environment, environment_for
from nemo_gym.launch.options import LaunchOptions
from nemo_gym.servers.server import RUN_SECRET_ENV


@dataclass(frozen=True)
class PlannedServer:
    """One instance and the environment it will run in."""

    instance: ServerInstance
    environment: Environment


def plan(config: RunConfig, options: LaunchOptions) -> list[PlannedServer]:
    """Decide for every instance where it runs; starts and builds nothing."""
    version = config.global_config_dict.get("python_version")
    return [PlannedServer(i, environment_for(i, options.isolate, version)) for i in config.instances]


def addressed_config(config: RunConfig, listeners: Mapping[str, socket.socket]) -> dict[str, Any]:
    """Return the configuration as plain data, with host and port of every instance filled in. It holds secrets."""
    plain: Any = OmegaConf.to_container(config.global_config_dict, resolve=True)
    for instance in config.instances:
        block = plain[instance.name][instance.kind][instance.implementation]
        block["host"] = instance.host
        block["port"] = listeners[instance.name].getsockname()[1]
    return plain  # type: ignore[no-any-return]


def process_environments(config: RunConfig, addressed: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the environment variables of every server process by instance name.

    A process is told its own settings and everyone's address, but not the keys of others.
    """
    masked = mask_secrets(addressed)
    run_secret = secrets.token_hex(32)
    return {
        instance.name: {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(dict.fromkeys([*_roots(instance), *_inherited_paths()])),
            "PYTHONUNBUFFERED": "1",
            NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME: yaml.safe_dump(
                {**masked, instance.name: addressed[instance.name]}, sort_keys=False
            ),
            NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME: instance.name,
            RUN_SECRET_ENV: run_secret,
        }
        for instance in config.instances
    }


def _roots(instance: ServerInstance) -> list[str]:
    """The folder that holds `resources_servers/` and the like, so that components import each other by full name."""
    roots = dict.fromkeys([instance.directory.parent.parent, PARENT_DIR])
    site_packages = {Path(path) for path in sys.path if path.endswith("site-packages")}
    return [str(root) for root in roots if root not in site_packages]


def _inherited_paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
