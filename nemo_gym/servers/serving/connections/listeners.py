"""Listening sockets: bound here, handed over by the launcher, or those of a server that no launcher started."""

import json
import os
import socket

from nemo_gym.config.addresses import http_url, is_loopback
from nemo_gym.config.env_names import LISTEN_FDS_ENV, RUN_TOKEN_ENV
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME, DEFAULT_BIND_HOST_KEY_NAME, DEFAULT_HOST
from nemo_gym.config.schema import BaseRunServerInstanceConfig
from nemo_gym.global_config import get_global_config_dict
from nemo_gym.servers.runs.tls import server_context_in_environment
from nemo_gym.servers.runs.token import token_in_environment

BACKLOG = 65_535


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises OSError when it can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def inherited_listeners() -> dict[str, list[socket.socket]]:
    """Return the sockets the launcher bound for this process, by instance name; empty without a launcher."""
    described: dict[str, list[int]] = json.loads(os.environ.get(LISTEN_FDS_ENV, "{}"))
    return {name: [socket.socket(fileno=fd) for fd in fds] for name, fds in described.items()}


def listen_alone(config: BaseRunServerInstanceConfig) -> socket.socket:
    """Return the socket of a server that has none from a launcher, and print where it listens.

    Raises:
        ConfigError: It would be open to the network without a token.
    """
    run = get_global_config_dict()
    listener = bind(config.bind_host or run.get(DEFAULT_BIND_HOST_KEY_NAME) or config.host or DEFAULT_HOST, config.port)
    host, port = listener.getsockname()[:2]
    without_token = token_in_environment() is None
    if without_token and not is_loopback(host) and not run.get(ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME):
        listener.close()
        what = f"{config.name} would listen on {host}, which other machines can reach, and let everyone in"
        allowed = f"{ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME}=true"
        fix = f"set {RUN_TOKEN_ENV} to a token that callers must present; or {allowed}"
        raise ConfigError(Mistake(what, where=f"{config.name}: host, bind_host", fix=fix))
    note = f" (without a token: {RUN_TOKEN_ENV} is not set)" if without_token else ""
    url = http_url(host, port, is_tls=server_context_in_environment() is not None)
    os.write(1, f"serving on {url}{note}\n".encode())
    return listener
