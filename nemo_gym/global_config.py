"""Public face of the configuration: the dictionary every server and program of a process shares."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nemo_gym.config.addresses import find_open_port
from nemo_gym.config.env_names import (
    CONFIG_FILE_ENV,
    NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME,
    NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME,
)
from nemo_gym.config.errors import ConfigError, did_you_mean
from nemo_gym.config.keys import (
    CONFIG_PATHS_KEY_NAME,
    DEFAULT_HEAD_PORT,
    DEFAULT_HOST,
    DEFAULT_HOST_KEY_NAME,
    DISALLOWED_PORTS_KEY_NAME,
    ENTRYPOINT_KEY_NAME,
    ERROR_ON_ALMOST_SERVERS_KEY_NAME,
    HEAD_SERVER_DEPS_KEY_NAME,
    HEAD_SERVER_KEY_NAME,
    HF_TOKEN_KEY_NAME,
    POLICY_API_KEY_KEY_NAME,
    POLICY_BASE_URL_KEY_NAME,
    POLICY_MODEL_NAME_KEY_NAME,
    PYTHON_VERSION_KEY_NAME,
    RAY_HEAD_NODE_ADDRESS_KEY_NAME,
    TLS_KEY_NAME,
)
from nemo_gym.config.load import check_sources, merge_sources
from nemo_gym.config.paths import find_file
from nemo_gym.config.reading.command_line import CommandLine, parse_command_line
from nemo_gym.config.reading.interpolation import as_literal
from nemo_gym.config.reading.sources import gather_sources, names_head
from nemo_gym.config.reading.yaml_file import parse_yaml, read_yaml_file

__all__ = [
    "CONFIG_PATHS_KEY_NAME",
    "DEFAULT_HEAD_PORT",
    "DEFAULT_HOST_KEY_NAME",
    "DISALLOWED_PORTS_KEY_NAME",
    "ENTRYPOINT_KEY_NAME",
    "ERROR_ON_ALMOST_SERVERS_KEY_NAME",
    "HEAD_SERVER_DEPS_KEY_NAME",
    "HEAD_SERVER_KEY_NAME",
    "HF_TOKEN_KEY_NAME",
    "NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME",
    "NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME",
    "NO_MODEL_GLOBAL_CONFIG_DICT",
    "POLICY_API_KEY_KEY_NAME",
    "POLICY_BASE_URL_KEY_NAME",
    "POLICY_MODEL_NAME_KEY_NAME",
    "PYTHON_VERSION_KEY_NAME",
    "RAY_HEAD_NODE_ADDRESS_KEY_NAME",
    "ConfigError",
    "GlobalConfigDictParser",
    "GlobalConfigDictParserConfig",
    "find_open_port",
    "get_first_server_config_dict",
    "get_global_config_dict",
]

NO_MODEL_GLOBAL_CONFIG_DICT = DictConfig(
    {
        POLICY_BASE_URL_KEY_NAME: "http://no-model.invalid/v1",
        POLICY_API_KEY_KEY_NAME: "no-model",
        POLICY_MODEL_NAME_KEY_NAME: "no-model",
    }
)
"""Placeholders for programs that read a configuration and don't ask the policy model. RFC 2606 reserves the host."""

_cached: DictConfig | None = None


@dataclass(frozen=True)
class GlobalConfigDictParserConfig:
    """What a program gives to the configuration.

    Attributes:
        dotenv_path: Used instead of looking for `env.yaml` here and in the project root; may not exist.
        initial_global_config_dict: Values above `env.yaml` and below the command line.
        skip_load_from_cli: Leave the arguments of this process alone.
        skip_load_from_dotenv: Read no `env.yaml`.
    """

    dotenv_path: Path | None = None
    initial_global_config_dict: DictConfig | Mapping[str, Any] | None = None
    skip_load_from_cli: bool = False
    skip_load_from_dotenv: bool = False


class GlobalConfigDictParser:
    """Reads the configuration; every mistake in it raises one `ConfigError`."""

    def parse(self, global_config_dict_parser_config: GlobalConfigDictParserConfig | None = None) -> DictConfig:
        """Return the merged, resolved and checked configuration with the defaults filled in.

        References and settings of servers are checked, the components' folders are not looked for.

        Raises:
            ConfigError: With every mistake.
        """
        wanted = global_config_dict_parser_config or GlobalConfigDictParserConfig()
        sources = gather_sources(
            None if wanted.skip_load_from_cli else parse_command_line(sys.argv[1:]),
            dotenv_path=wanted.dotenv_path,
            skip_dotenv=wanted.skip_load_from_dotenv,
            initial=wanted.initial_global_config_dict,
        )
        return check_sources(sources, locate=False).values

    def parse_no_environment(
        self, initial_global_config_dict: DictConfig | Mapping[str, Any] | None = None
    ) -> DictConfig:
        """Return the same from the given values alone: no command line, no `env.yaml`."""
        return self.parse(
            GlobalConfigDictParserConfig(
                initial_global_config_dict=initial_global_config_dict,
                skip_load_from_cli=True,
                skip_load_from_dotenv=True,
            )
        )


def get_global_config_dict(
    global_config_dict_parser_config: GlobalConfigDictParserConfig | None = None,
) -> DictConfig:
    """Return the configuration of this process, read at the first call and kept.

    When the environment variable NEMO_GYM_CONFIG_DICT is set (to YAML), it is the configuration, and the
    argument doesn't matter; its servers are not checked again. In the servers of a run, the file that
    NEMO_GYM_CONFIG_FILE names takes its place.

    Raises:
        ConfigError: With every mistake.
    """
    global _cached
    if _cached is None:
        values = _given_values()
        if values is None:
            _cached = GlobalConfigDictParser().parse(global_config_dict_parser_config)
        else:
            _cached = merge_sources(skip_dotenv=True, initial=values)
    return _cached


def replace_global_config_dict(values: Mapping[str, Any]) -> DictConfig:
    """Make `values` the configuration of this process from here on, and return it; a run inside a program needs it."""
    global _cached
    _cached = DictConfig(as_literal(values))
    return _cached


def kept_global_config_dict() -> DictConfig | None:
    """Return the configuration that this process keeps; None before it was read."""
    return _cached


def restore_global_config_dict(before: DictConfig | None) -> None:
    """Keep what `kept_global_config_dict` gave before it was replaced."""
    global _cached
    _cached = before


def _given_values() -> dict[str, Any] | None:
    """Return the configuration that the environment gives to this process; None when it gives none."""
    text, path = (os.environ.get(name) for name in (NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME, CONFIG_FILE_ENV))
    if text:
        return parse_yaml(text, NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME)
    return read_yaml_file(Path(path)) if path else None


def configured_head() -> tuple[str, int]:
    """Return host and port of the head that this process means.

    Of the arguments of a program only those about the head are read (`head_server.port=...`, `tls.ca=...`).
    """
    head = _values_about_the_head()[HEAD_SERVER_KEY_NAME]
    return head["host"], head["port"]


def configured_ca() -> str | None:
    """Return the file that this process checks the certificates of a run against; None: none is configured."""
    return ca_in(_values_about_the_head())


def ca_in(values: DictConfig) -> str | None:
    """Return the same of merged values; a relative path is looked for in the current folder and the project root."""
    tls = values.get(TLS_KEY_NAME)
    return None if tls is None else str((find_file(tls["ca"]) or Path(tls["ca"]).expanduser()).absolute())


def is_head_named() -> bool:
    """Tell whether this process was told which head is meant; False: `configured_head` is the default."""
    of_a_run = (NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME, CONFIG_FILE_ENV, NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME)
    if configured_head() != (DEFAULT_HOST, DEFAULT_HEAD_PORT) or any(name in os.environ for name in of_a_run):
        return True
    return names_head(_arguments_about_the_head())


def _values_about_the_head() -> DictConfig:
    given = (NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME, CONFIG_FILE_ENV)
    if _cached is not None or any(os.environ.get(name) for name in given):
        return get_global_config_dict()
    return merge_sources(_arguments_about_the_head())


def _arguments_about_the_head() -> CommandLine:
    meant = (f"{HEAD_SERVER_KEY_NAME}.", f"{TLS_KEY_NAME}.")
    return parse_command_line([argument for argument in sys.argv[1:] if argument.lstrip("+").startswith(meant)])


def get_first_server_config_dict(global_config_dict: DictConfig, server_name: str) -> DictConfig:
    """Return the block three levels down: the first entry of the first entry of `global_config_dict[server_name]`.

    For a server instance that is `global_config_dict[<name>][<kind>][<implementation>]`.

    Raises:
        KeyError: No block of three levels has this name; the message says which there are.
    """
    block = _third_level(global_config_dict.get(server_name))
    if block is None:
        known = [str(name) for name, value in global_config_dict.items() if _third_level(value) is not None]
        hint = did_you_mean(server_name, known) or f"known: {', '.join(known) or 'none'}"
        raise KeyError(f"no server named '{server_name}'; {hint}")
    return block


def _third_level(value: Any) -> DictConfig | None:
    for _ in range(2):
        value = next(iter(value.values()), None) if isinstance(value, DictConfig) else None
    return value if isinstance(value, DictConfig) else None
