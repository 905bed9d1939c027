"""Asking the head of a run, synchronously: it isn't worth the import of a larger client."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from nemo_gym.config.addresses import http_url
from nemo_gym.config.env_names import RUN_TOKEN_ENV
from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.config.reading.yaml_file import load_trusted_yaml
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.servers.runs.token import bearer, token_in_environment

HEAD_TIMEOUT_S = 10.0
UNAUTHORIZED = 401


def get_json(url: str, token: str | None, timeout_s: float) -> Any:
    """Return the decoded answer.

    The token goes to this address alone: not along a redirect, and not to a proxy that the environment names.

    Raises:
        OSError: There is none; urllib's HTTPError for an error status.
        ValueError: It is no JSON.
    """
    asked = urllib.request.Request(url)
    for name, value in bearer(token).items():
        asked.add_unredirected_header(name.title(), value)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=timeout_s) as answer:
        return json.load(answer)


def fetch_global_config(head: BaseServerConfig, run_token: str | None) -> DictConfig:
    """Ask the head for the configuration of its run, which has no secrets in it.

    Raises:
        ConfigError: No head answers there, or it wants another token.
    """
    try:
        text = get_json(f"{http_url(head.host, head.port)}/global_config_dict_yaml", run_token, HEAD_TIMEOUT_S)
    except (OSError, ValueError) as error:
        if getattr(error, "code", None) == UNAUTHORIZED:
            raise ConfigError(_wrong_token(head)) from error
        where = f"{head.host}:{head.port} (head_server.host, head_server.port)"
        fix = "start the servers first, with ng_run, or name the head of the run that is meant"
        raise ConfigError(Mistake(f"no head server answers: {error}", where=where, fix=fix)) from error
    return DictConfig(load_trusted_yaml(text))


def _wrong_token(head: BaseServerConfig) -> Mistake:
    has_one = token_in_environment() is not None
    what = f"the run at {head.host}:{head.port} wants its token, and "
    what += f"{RUN_TOKEN_ENV} holds another" if has_one else "none was found: another user, machine or home started it"
    fix = f"unset {RUN_TOKEN_ENV}, or set it" if has_one else f"set {RUN_TOKEN_ENV}"
    fix += " to what is in the run's token file; `ng_status +token_file=true`, where it was started, says where that is"
    return Mistake(what, where="head_server.host, head_server.port", fix=fix)


def require_server(config: Mapping[Any, Any] | DictConfig, name: str, kind: str) -> None:
    """Raise the ConfigError for a server name that is not an instance of `kind` in a run's configuration."""
    known = [str(key) for key, block in config.items() if isinstance(block, Mapping | DictConfig) and kind in block]
    if name not in known:
        what = f"no {kind} instance named '{name}' in the running servers"
        raise ConfigError(Mistake(what, known=known, fix=did_you_mean(name, known)))
