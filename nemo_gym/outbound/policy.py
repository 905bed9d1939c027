"""What an environment lets its policy fetch, and the URL that a model wrote checked against it."""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from yarl import URL

from nemo_gym.outbound.addresses import IpAddress, IpNetwork, may_be_reached, parsed_networks
from nemo_gym.outbound.error import FetchError

MAX_URL_CHARACTERS = 4096
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
# The URL standard (WHATWG, "ends in a number"): such a host is an IPv4 address or an error, never a name.
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?([0-9]+|0[xX][0-9a-fA-F]*)")


@dataclass(frozen=True)
class FetchPolicy:
    """Bounds of one fetch, redirects included.

    Attributes:
        timeout_s: Seconds from the call to the last byte.
        max_bytes: Bytes of the page, unpacked; the rest is cut off.
        max_redirects: Redirects followed; 0 follows none.
        allowed_schemes: In lower case.
        allowed_ports: TCP ports.
        allowed_networks: Networks reachable although they are not public, e.g. `("10.1.0.0/16",)`. Cloud metadata
            services stay out of reach.
        allow: Asked with each host name or address in lower case; False refuses. None allows all.
        user_agent: What the sites are told.
    """

    timeout_s: float = 20.0
    max_bytes: int = 2 * 2**20
    max_redirects: int = 5
    allowed_schemes: tuple[str, ...] = ("http", "https")
    allowed_ports: tuple[int, ...] = (80, 443)
    allowed_networks: tuple[str, ...] = ()
    allow: Callable[[str], bool] | None = None
    user_agent: str = "nemo-gym"
    _networks: tuple[IpNetwork, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.max_bytes <= 0 or self.max_redirects < 0:
            raise ValueError("timeout_s and max_bytes must be positive, max_redirects not negative")
        # Parsed once, and a mistyped network is reported where the policy is written.
        object.__setattr__(self, "_networks", parsed_networks(self.allowed_networks))

    def may_reach(self, address: IpAddress) -> bool:
        """Tell whether a connection to this address may be opened."""
        return may_be_reached(address, self._networks)


def checked_url(url: str | URL, policy: FetchPolicy) -> URL:
    """Return the URL as it will be requested: addresses in their one usual spelling, no fragment.

    Raises:
        FetchError: Not a URL, with credentials, or refused by the policy's scheme, port, site or address.
    """
    parsed = _parsed(url)
    if parsed.scheme not in policy.allowed_schemes:
        raise FetchError("scheme_not_allowed")
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise FetchError("credentials_in_url")
    if parsed.port not in policy.allowed_ports:
        raise FetchError("port_not_allowed")
    host = _host(parsed.raw_host or "")
    if policy.allow is not None and not policy.allow(str(host)):
        raise FetchError("site_not_allowed")
    if not isinstance(host, str) and not policy.may_reach(host):
        raise FetchError("address_not_allowed")
    return parsed.with_host(str(host)).with_fragment(None)


def _parsed(url: str | URL) -> URL:
    try:
        if not isinstance(url, str | URL):
            raise TypeError(f"a URL is text, not {type(url).__name__}")
        if len(str(url)) > MAX_URL_CHARACTERS:
            raise ValueError("too long")
        parsed = URL(url.strip()) if isinstance(url, str) else url
        parsed.port  # noqa: B018  (an invalid port is found only here)
        return parsed
    except (ValueError, TypeError, LookupError) as error:  # yarl looks for characters of a host that isn't there
        raise FetchError("bad_url") from error


def _host(raw_host: str) -> str | IpAddress:
    try:
        if "%" in raw_host:
            raise ValueError("an escape, or the zone of a link-local address")
        if ":" in raw_host:
            return IPv6Address(raw_host)
        host = raw_host.lower().removesuffix(".")
        if _ENDS_IN_NUMBER.fullmatch(host):
            # What the resolver below would take for an address, all its spellings: 127.1, 0x7f000001, 2130706433.
            return IPv4Address(socket.inet_aton(host))
    except (ValueError, OSError) as error:
        raise FetchError("bad_url") from error
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise FetchError("bad_url")
    return host
