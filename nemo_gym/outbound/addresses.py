"""Which IP addresses lie outside: public ones, as opposed to this machine, its network, and its cloud's services."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

# IANA special-purpose registry, with multicast; of 192.0.0.0/24 the few public addresses are not worth an exception.
_NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# All public addresses of IPv6 so far lie here: mapped, NAT64, unique local, link-local and multicast ones do not.
_PUBLIC_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",
    )
)
# These answer with credentials, so no network that is allowed as a whole includes them. Some are public addresses.
_METADATA = frozenset(
    [
        IPv4Address("169.254.169.254"),
        IPv4Address("169.254.170.2"),
        IPv4Address("169.254.170.23"),
        IPv4Address("169.254.0.23"),
        IPv4Address("100.100.100.200"),
        IPv4Address("168.63.129.16"),
        IPv4Address("192.0.0.192"),
        IPv6Address("fd00:ec2::254"),
        IPv6Address("fd00:ec2::23"),
        IPv6Address("fd20:ce::254"),
    ]
)
_NAT64 = tuple(IPv6Network(network) for network in ("64:ff9b::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "::/96"))
_6TO4 = IPv6Network("2002::/16")


def may_be_reached(address: IpAddress, allowed_networks: Iterable[IpNetwork] = ()) -> bool:
    """Tell whether a page may be fetched from this address: public, or inside an allowed network; never metadata."""
    if address in _METADATA or embedded_ipv4(address) in _METADATA:
        return False
    if any(address.version == network.version and address in network for network in allowed_networks):
        return True
    return is_public(address)


def is_public(address: IpAddress) -> bool:
    """Tell whether the address belongs to the public internet.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, NAT64, Teredo) does not, whichever that is.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return (
        address.scope_id is None and address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)
    )


def embedded_ipv4(address: IpAddress) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for; None where there is none."""
    if isinstance(address, IPv4Address):
        return None
    if address in _6TO4:
        return IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    if any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def parsed_networks(networks: Iterable[str]) -> tuple[IpNetwork, ...]:
    """Parse networks written as `10.1.0.0/16`; ValueError names the one that isn't a network."""
    return tuple(ip_network(network) for network in networks)
