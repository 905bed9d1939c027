"""The plan of a run: every instance, where it listens, which environment it runs in, what its process is told."""

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from omegaconf import OmegaConf

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.instances import ServerInstance
from nemo_gym.config.keys import CONFIG_PATHS_KEY_NAME
from nemo_gym.config.load import RunConfig
from nemo_gym.config.secrets import mask_secrets
from nemo_gym.global_config import NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME, NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME
from nemo_gym.launch.environments import Environment, environment_for
from nemo_gym.launch.options import LaunchOptions
from nemo_gym.launch.python_path import python_path

RUN_SECRET_ENV = "NEMO_GYM_RUN_SECRET"  # not imported from the servers: they take a second that a start need not wait


@dataclass(frozen=True)
class PlannedServer:
    """One instance and the environment it will run in."""

    instance: ServerInstance
    environment: Environment


def plan(config: RunConfig, options: LaunchOptions) -> list[PlannedServer]:
    """Decide for every instance where it runs; starts and builds nothing.

    Raises:
        ConfigError: What was asked for is not built, or an instance's requirements can't be read.
    """
    _refuse_unbuilt(config, options)
    version = config.global_config_dict.get("python_version")
    return [PlannedServer(i, environment_for(i.directory, options.isolate, version)) for i in config.instances]


def addressed_config(config: RunConfig, listeners: Mapping[str, socket.socket]) -> dict[str, Any]:
    """Return the configuration as plain data, with host and port of every instance filled in. It holds secrets."""
    plain: Any = OmegaConf.to_container(config.global_config_dict, resolve=True)
    for instance in config.instances:
        block = plain[instance.name][instance.kind][instance.implementation]
        block["host"] = instance.host
        block["port"] = listeners[instance.name].getsockname()[1]
    return plain  # type: ignore[no-any-return]


def process_variables(config: RunConfig, addressed: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the environment variables of every server process by instance name.

    A process is told its own settings and everyone's address, but not the keys of others.
    """
    masked = mask_secrets(addressed)
    masked.pop(CONFIG_PATHS_KEY_NAME, None)  # merged already; a server's folder is the wrong place to look for them
    run_secret = secrets.token_hex(32)
    return {
        instance.name: {
            **os.environ,
            "PYTHONPATH": python_path(instance.directory),
            "PYTHONUNBUFFERED": "1",
            NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME: yaml.safe_dump(
                {**masked, instance.name: addressed[instance.name]}, sort_keys=False
            ),
            NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME: instance.name,
            RUN_SECRET_ENV: run_secret,
        }
        for instance in config.instances
    }


def _refuse_unbuilt(config: RunConfig, options: LaunchOptions) -> None:
    """Better no run than one that silently does less than was asked."""
    mistakes = [
        Mistake(
            f"num_workers: {instance.num_workers} is not built yet: a server runs as one process",
            where=f"{instance.name}.{instance.kind}.{instance.implementation}.num_workers",
            fix="leave it out, or set it to 1",
        )
        for instance in config.instances
        if instance.num_workers > 1
    ]
    if options.colocate:
        what = "colocate=true is not built yet: every server runs in a process of its own"
        mistakes.append(Mistake(what, where="colocate", fix="leave it out"))
    if mistakes:
        raise ConfigError(*mistakes)
