"""Asking the head of a run, synchronously: it isn't worth the import of a larger client."""

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nemo_gym.config.env_names import RUN_CA_ENV, RUN_TOKEN_ENV
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.reading.yaml_file import load_trusted_yaml
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.record import ServerInstanceState, home, live_run_at
from nemo_gym.servers.runs.refusal import certificate_mistake
from nemo_gym.servers.runs.token import bearer, token_in_environment

HEAD_TIMEOUT_S = 10.0
UNAUTHORIZED = 401
_HEAD_KEYS = "head_server.host, head_server.port"


def get_json(url: str, access: RunAccess, timeout_s: float) -> Any:
    """Return the decoded answer.

    The token goes to this address alone: not along a redirect, and not to a proxy that the environment names.

    Raises:
        OSError: Nothing answers; urllib's HTTPError for an error status.
        ValueError: It isn't JSON.
    """
    asked = urllib.request.Request(url)
    for name, value in bearer(access.token).items():
        asked.add_unredirected_header(name.title(), value)
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=access.ssl_context)]
    opener = urllib.request.build_opener(*handlers)
    with opener.open(asked, timeout=timeout_s) as answer:
        return json.load(answer)


@dataclass(frozen=True)
class FoundRun:
    """Which run answers at an address: `str()` says it in words. `is_from_here`: it was started in this folder."""

    words: str
    is_from_here: bool

    def __str__(self) -> str:
        return self.words


def find_run(head: BaseServerConfig, access: RunAccess, *, is_named: bool) -> FoundRun:
    """Return which run answers at `head`.

    Args:
        access: To that run.
        is_named: The caller was told to use this head: by its address, or with a token.

    Raises:
        ConfigError: No head answers there; or the run isn't one that this user started here, and nobody named it.
    """
    run_id = _run_id_at(head, access)
    record = live_run_at(head.host, head.port)
    if record is not None and record.run_id == run_id:
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.started_at))
        words = f"run {run_id}, started in {record.folder} at {started}, pid {record.pid}"
        return FoundRun(words, is_from_here=Path(record.folder) == Path.cwd())
    named = f"run {run_id}" if run_id else "the run"
    if is_named or token_in_environment() is not None:
        return FoundRun(f"{named} at {head.host}:{head.port} (not in the records of {home()})", is_from_here=False)
    what = f"{named} at {head.host}:{head.port} isn't one of yours: {home()} has no record of it"
    fix = f"start your own with ng_run; or, if you mean this one, say so with +head_server.port={head.port}"
    raise ConfigError(Mistake(what, where=_HEAD_KEYS, fix=fix))


def _run_id_at(head: BaseServerConfig, access: RunAccess) -> str:
    """Return the id of the run whose head answers; empty for a head that doesn't say it."""
    try:
        said = get_json(f"{access.url(head.host, head.port)}/health", RunAccess(ca=access.ca), HEAD_TIMEOUT_S)
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        raise ConfigError(_no_answer(head, access, error)) from error
    return str(said.get("run") or "") if isinstance(said, dict) else ""


def fetch_global_config(head: BaseServerConfig, access: RunAccess) -> DictConfig:
    """Ask the head for the configuration of its run, which has no secrets in it.

    Raises:
        ConfigError: No head answers there, or it wants another token.
    """
    try:
        text = get_json(f"{access.url(head.host, head.port)}/global_config_dict_yaml", access, HEAD_TIMEOUT_S)
    except (OSError, ValueError) as error:
        if getattr(error, "code", None) == UNAUTHORIZED:
            raise ConfigError(_wrong_token(head)) from error
        raise ConfigError(_no_answer(head, access, error)) from error
    return DictConfig(load_trusted_yaml(text))


def fetch_instances(head: BaseServerConfig, access: RunAccess) -> list[ServerInstanceState]:
    """Return what the head says of the servers of its run; empty when it says nothing that can be understood."""
    try:
        said = get_json(f"{access.url(head.host, head.port)}/server_instances", access, HEAD_TIMEOUT_S)
        return [ServerInstanceState.model_validate(instance) for instance in said]
    except (OSError, ValueError, TypeError):
        return []


def _no_answer(head: BaseServerConfig, access: RunAccess, error: Exception) -> Mistake:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, ssl.SSLError):
        return _no_trust(head, access, reason)
    fix = "start the servers first, with ng_run; or name the head of the run you mean: +head_server.port=..."
    if isinstance(error, http.client.HTTPException | ConnectionError) and access.ca is None:
        fix += "; or, where that run has TLS, what its certificates are checked against: +tls.ca=..."
    return Mistake(f"no head server answers at {head.host}:{head.port}: {reason}", where=_HEAD_KEYS, fix=fix)


def _no_trust(head: BaseServerConfig, access: RunAccess, error: ssl.SSLError) -> Mistake:
    if isinstance(error, ssl.SSLCertVerificationError):
        return certificate_mistake(error, head.host, head.port, access)
    what = f"what answers at {head.host}:{head.port} doesn't speak TLS as expected: {error.reason or error}"
    return Mistake(what, where=_HEAD_KEYS, fix=f"for a run without TLS leave tls.ca out, and unset {RUN_CA_ENV}")


def _wrong_token(head: BaseServerConfig) -> Mistake:
    has_one = token_in_environment() is not None
    what = f"the run at {head.host}:{head.port} wants its token, and "
    what += f"{RUN_TOKEN_ENV} holds another" if has_one else "none was found: another user, machine or home started it"
    fix = f"unset {RUN_TOKEN_ENV}, or set it" if has_one else f"set {RUN_TOKEN_ENV}"
    fix += " to what is in the run's token file; `ng_status +token_file=true`, where it was started, says where that is"
    return Mistake(what, where=_HEAD_KEYS, fix=fix)
