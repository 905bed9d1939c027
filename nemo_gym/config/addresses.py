"""Addresses and ports: which are loopback, which are every interface, and what others should call."""

import contextlib
import ipaddress
import socket
from collections.abc import Collection

_ALL_INTERFACES = ("", "0.0.0.0", "::")
_SOMEWHERE_ELSE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}  # reserved for documentation


def http_url(host: str, port: int, *, is_tls: bool = False) -> str:
    """Return `http://host:port`, an IPv6 address in brackets; `https` where `is_tls`."""
    scheme = "https" if is_tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_every_interface(host: str) -> bool:
    """Tell whether a server that binds `host` listens on every interface."""
    return host in _ALL_INTERFACES


def is_loopback(host: str) -> bool:
    """Tell whether `host` is "localhost" or an address in 127.0.0.0/8 or ::1; no name is looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reachable_host(bind_host: str) -> str:
    """Return the host that others should call for a server that binds `bind_host`.

    That is `bind_host` itself. If it means every interface, it is this machine's address on the network, else its full
    name, else 127.0.0.1.
    """
    if not is_every_interface(bind_host):
        return bind_host
    for family in (socket.AF_INET, socket.AF_INET6) if bind_host != "::" else (socket.AF_INET6, socket.AF_INET):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_SOMEWHERE_ELSE[family], 9))  # chooses a route; nothing is sent
            return str(probe.getsockname()[0])
    name = socket.getfqdn()
    return "127.0.0.1" if is_loopback(name) or name.startswith("localhost") else name


def find_open_port(disallowed_ports: Collection[int] | None = None, max_retries: int = 50) -> int:
    """Return a port that was free a moment ago on every interface and is not in `disallowed_ports`.

    Another program may take it before you bind it. If you can, bind port 0 instead and pass the socket on.

    Args:
        disallowed_ports: Ports never returned; None allows all.
        max_retries: Further attempts after the first, at least 0.

    Raises:
        RuntimeError: Every port that the system offered is in `disallowed_ports`.
    """
    for _ in range(max_retries + 1):
        with socket.socket() as probe:
            probe.bind(("", 0))
            port: int = probe.getsockname()[1]
        if port not in (disallowed_ports or ()):
            return port
    raise RuntimeError(f"no free port: all {max_retries + 1} ports that the system offered are in disallowed_ports")
