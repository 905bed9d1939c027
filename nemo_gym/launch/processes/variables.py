"""What a process of a run is told: its own settings, everyone's address, and nobody else's keys."""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import OmegaConf

from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.config.env_names import (
    COLOCATED_SCRIPTS_ENV,
    CONFIG_FILE_ENV,
    NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME,
    OF_ANOTHER_RUN,
    RUN_SECRET_ENV,
    RUN_TOKEN_ENV,
    WORKER_INDEX_ENV,
)
from nemo_gym.config.keys import CONFIG_PATHS_KEY_NAME, HEAD_SERVER_KEY_NAME, TLS_KEY_NAME
from nemo_gym.config.load import RunConfig
from nemo_gym.config.secrets import mask_secrets
from nemo_gym.launch.addresses import Addresses
from nemo_gym.launch.environments.requirements import python_path
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.servers.http.session_ids import IS_PLACED_KEY, WORKER_URLS_KEY
from nemo_gym.servers.runs.tls import TlsFiles


def addressed_config(
    config: RunConfig,
    head_host: str,
    instances: Sequence[ServerInstance],
    addresses: Addresses,
    tls: TlsFiles | None = None,
) -> dict[str, Any]:
    """Return the configuration as plain data, with the addresses of every instance filled in. It holds secrets."""
    plain = cast(dict[str, Any], OmegaConf.to_container(config.global_config_dict, resolve=True))
    plain[HEAD_SERVER_KEY_NAME]["host"] = head_host
    if tls is not None:
        plain[TLS_KEY_NAME] = asdict(tls)
    for instance in instances:
        block = plain[instance.name][instance.kind][instance.implementation]
        block["host"], block["port"] = addresses.of(instance)
        urls = addresses.workers_of(instance)
        if urls:
            block[WORKER_URLS_KEY] = urls
        if addresses.is_placed(instance):
            block[IS_PLACED_KEY] = True
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


def shared_variables(run_token: str | None, tls: TlsFiles | None) -> dict[str, str]:
    """Return what every process of the run is told; None for a run without a token, or without TLS."""
    shared = {RUN_SECRET_ENV: secrets.token_hex(32), **(tls.variables if tls is not None else {})}
    if run_token is not None:
        shared[RUN_TOKEN_ENV] = run_token
    return shared


def local_variables(process: PlannedProcess, config_file: Path, shared: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of a process on this machine.

    Args:
        process: The process.
        config_file: Its configuration, which no variable could hold beyond 128 KiB.
        shared: Of `shared_variables`.
    """
    variables = {
        **{name: value for name, value in os.environ.items() if name not in OF_ANOTHER_RUN},
        "PYTHONPATH": python_path(*(server.instance.directory for server in process.servers)),
        CONFIG_FILE_ENV: str(config_file.absolute()),
        **_told(process),
        **shared,
    }
    if process.is_colocated:
        scripts = {server.instance.name: str(server.instance.entrypoint) for server in process.servers}
        variables[COLOCATED_SCRIPTS_ENV] = json.dumps(scripts)
    return variables


def node_variables(process: PlannedProcess, shared: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a process on a node, beyond those that the node has, and paths, which it knows itself."""
    return {**_told(process), **shared}


def _told(process: PlannedProcess) -> dict[str, str]:
    variables = {"PYTHONUNBUFFERED": "1"}
    if not process.is_colocated:
        variables[NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME] = process.servers[0].instance.name
    if process.worker is not None:
        variables[WORKER_INDEX_ENV] = str(process.worker)
    return variables
