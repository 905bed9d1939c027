"""What a process of a run is told: its own settings, everyone's address, and nobody else's keys."""

import json
import os
import secrets
from collections.abc import Sequence
from typing import Any

import yaml
from omegaconf import OmegaConf

from nemo_gym.config.addresses import http_url
from nemo_gym.config.env_names import (
    COLOCATED_SCRIPTS_ENV,
    NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME,
    NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME,
    RUN_SECRET_ENV,
    RUN_TOKEN_ENV,
    WORKER_INDEX_ENV,
)
from nemo_gym.config.keys import CONFIG_PATHS_KEY_NAME, HEAD_SERVER_KEY_NAME
from nemo_gym.config.load import RunConfig
from nemo_gym.config.secrets import mask_secrets
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.launch.processes.requirements import python_path
from nemo_gym.launch.sockets import RunSockets
from nemo_gym.servers.http.session_ids import WORKER_URLS_KEY


def addressed_config(config: RunConfig, sockets: RunSockets) -> dict[str, Any]:
    """Return the configuration as plain data, with the addresses of every instance filled in. It holds secrets."""
    plain: Any = OmegaConf.to_container(config.global_config_dict, resolve=True)
    plain[HEAD_SERVER_KEY_NAME]["host"] = config.head_host
    for instance in config.instances:
        block = plain[instance.name][instance.kind][instance.implementation]
        block["host"] = instance.host
        block["port"] = sockets.port_of(instance.name)
        ports = sockets.worker_ports_of(instance.name)
        if ports:
            block[WORKER_URLS_KEY] = [http_url(instance.host, port) for port in ports]
    return plain  # type: ignore[no-any-return]


def process_variables(
    processes: Sequence[PlannedProcess], addressed: dict[str, Any], run_token: str | None
) -> dict[str, dict[str, str]]:
    """Return the environment variables of every process by its name; with the run's token unless that is None."""
    masked = mask_secrets(addressed)
    masked.pop(CONFIG_PATHS_KEY_NAME, None)  # merged already; a server's folder is the wrong place to look for them
    shared = {RUN_SECRET_ENV: secrets.token_hex(32)}
    if run_token is not None:
        shared[RUN_TOKEN_ENV] = run_token
    return {process.name: {**_variables(process, addressed, masked), **shared} for process in processes}


def _variables(process: PlannedProcess, addressed: dict[str, Any], masked: dict[str, Any]) -> dict[str, str]:
    own = {server.instance.name: addressed[server.instance.name] for server in process.servers}
    variables = {
        **{name: value for name, value in os.environ.items() if name != RUN_TOKEN_ENV},  # that may be of another run
        "PYTHONPATH": python_path(*(server.instance.directory for server in process.servers)),
        "PYTHONUNBUFFERED": "1",
        NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME: yaml.safe_dump({**masked, **own}, sort_keys=False),
    }
    if process.is_colocated:
        scripts = {server.instance.name: str(server.instance.entrypoint) for server in process.servers}
        variables[COLOCATED_SCRIPTS_ENV] = json.dumps(scripts)
    else:
        variables[NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME] = process.servers[0].instance.name
    if process.worker is not None:
        variables[WORKER_INDEX_ENV] = str(process.worker)
    return variables
