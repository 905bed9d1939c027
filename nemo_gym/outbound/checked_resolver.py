"""Names to addresses, checked: the connection is opened to what was checked, and nothing is asked twice."""

import socket
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

from nemo_gym.outbound.error import FetchError
from nemo_gym.outbound.policy import FetchPolicy


class CheckedResolver(AbstractResolver):
    """Gives the connector the addresses of another resolver, or refuses them all when one may not be reached.

    The connector must not cache and connects to the answer itself, so a name server that gives a public address first
    and an internal one later gains nothing: each connection stands on one answer, and that one was checked.
    """

    def __init__(self, resolver: AbstractResolver, policy: FetchPolicy) -> None:
        self._resolver = resolver
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the checked addresses; FetchError where the name has none, or one that may not be reached."""
        try:
            found = await self._resolver.resolve(host, port, family)
            addresses = [ip_address(answer["host"]) for answer in found]
        except (OSError, ValueError) as error:
            raise FetchError("not_found") from error
        if not all(self._policy.may_reach(address) for address in addresses):
            raise FetchError("address_not_allowed")
        return found

    async def close(self) -> None:
        """Do nothing: the other resolver belongs to whoever made it."""
