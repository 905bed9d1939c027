"""What a process of a run is told: its own settings, everyone's address, and nobody else's keys."""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import OmegaConf

from nemo_gym.config.addresses import http_url
from nemo_gym.config.env_names import (
    COLOCATED_SCRIPTS_ENV,
    CONFIG_FILE_ENV,
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
    plain = cast(dict[str, Any], OmegaConf.to_container(config.global_config_dict, resolve=True))
    plain[HEAD_SERVER_KEY_NAME]["host"] = config.head_host
    for instance in config.instances:
        block = plain[instance.name][instance.kind][instance.implementation]
        block["host"] = instance.host
        block["port"] = sockets.port_of(instance.name)
        ports = sockets.worker_ports_of(instance.name)
        if ports:
            block[WORKER_URLS_KEY] = [http_url(instance.host, port) for port in ports]
    return plain


def process_configs(processes: Sequence[PlannedProcess], addressed: dict[str, Any]) -> dict[str, str]:
    """Return the configuration of every process by its name, as YAML: with the secrets of its own servers alone."""
    masked = mask_secrets(addressed)
    masked.pop(CONFIG_PATHS_KEY_NAME, None)  # merged already; a server's folder is the wrong place to look for them
    public = {key: _as_yaml(key, value) for key, value in masked.items()}  # once, not for every process
    texts = {}
    for process in processes:
        own = {server.instance.name for server in process.servers}
        texts[process.name] = "".join(
            _as_yaml(key, addressed[key]) if key in own else text for key, text in public.items()
        )
    return texts


def _as_yaml(key: str, value: Any) -> str:
    return str(yaml.dump({key: value}, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False))


def process_variables(
    processes: Sequence[PlannedProcess], config_files: Mapping[str, Path], run_token: str | None
) -> dict[str, dict[str, str]]:
    """Return the environment variables of every process by its name.

    Args:
        processes: All processes of the run.
        config_files: The file with the configuration of each, which no variable could hold beyond 128 KiB.
        run_token: None for a run without a token.
    """
    shared = {RUN_SECRET_ENV: secrets.token_hex(32)}
    if run_token is not None:
        shared[RUN_TOKEN_ENV] = run_token
    return {process.name: {**_variables(process, config_files[process.name]), **shared} for process in processes}


_OF_ANOTHER_RUN = (RUN_TOKEN_ENV, NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME)


def _variables(process: PlannedProcess, config_file: Path) -> dict[str, str]:
    variables = {
        **{name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_RUN},
        "PYTHONPATH": python_path(*(server.instance.directory for server in process.servers)),
        "PYTHONUNBUFFERED": "1",
        CONFIG_FILE_ENV: str(config_file.absolute()),
    }
    if process.is_colocated:
        scripts = {server.instance.name: str(server.instance.entrypoint) for server in process.servers}
        variables[COLOCATED_SCRIPTS_ENV] = json.dumps(scripts)
    else:
        variables[NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME] = process.servers[0].instance.name
    if process.worker is not None:
        variables[WORKER_INDEX_ENV] = str(process.worker)
    return variables
