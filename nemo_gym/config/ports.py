"""Free ports of this machine."""

import socket
from collections.abc import Collection

_MAX_ATTEMPTS = 100


def find_open_port(host: str = "127.0.0.1", disallowed: Collection[int] = ()) -> int:
    """Return a port that was free a moment ago on `host` and is not in `disallowed`.

    Another program may take it before you bind it; who can, binds port 0 and passes the socket on instead.

    Raises:
        OSError: `host` is no address of this machine.
        RuntimeError: the system kept offering disallowed ports.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(_MAX_ATTEMPTS):
        with socket.socket(family) as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        if port not in disallowed:
            return port
    raise RuntimeError(f"no free port on {host}: {_MAX_ATTEMPTS} offered ports were all in disallowed_ports")
