"""From what a model wrote, or a site redirected to, to a URL with one possible reading."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address

from yarl import URL

from nemo_gym.outbound.addresses import IpAddress
from nemo_gym.outbound.error import FetchError
from nemo_gym.outbound.policy import FetchPolicy

MAX_URL_CHARACTERS = 4096
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
# The URL standard (WHATWG, "ends in a number"): such a host is an IPv4 address or an error, never a name.
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?([0-9]+|0[xX][0-9a-fA-F]*)")


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
        if len(str(url)) > MAX_URL_CHARACTERS:
            raise ValueError("too long")
        parsed = URL(url.strip()) if isinstance(url, str) else url
        parsed.port  # noqa: B018  (a port that is none is found only here)
        return parsed
    except (ValueError, TypeError) as error:
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
