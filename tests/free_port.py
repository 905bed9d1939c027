"""Ports for servers whose address a test has to know before they start."""

import random
import socket

# Below the range from which the kernel takes ports for connections: none of those can take it in the meantime.
_LOWEST, _HIGHEST = 20_000, 32_000
_TRIES = 100


def free_port() -> int:
    """Return a port that nobody listens on, and that nobody else is likely to choose."""
    for _ in range(_TRIES):
        port = random.SystemRandom().randrange(_LOWEST, _HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port among {_TRIES} tried")
