"""Listening sockets: bound here, or handed over by the launcher."""

import json
import os
import socket

LISTEN_FDS_ENV = "NEMO_GYM_LISTEN_FDS"
"""JSON in the environment: descriptors of bound sockets by instance name."""

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
