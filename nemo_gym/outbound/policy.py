"""What an environment lets its policy fetch."""

from collections.abc import Callable
from dataclasses import dataclass, field

from nemo_gym.outbound.addresses import IpAddress, IpNetwork, may_be_reached, parsed_networks


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
        # Parsed once, and a network with a typing error is told where the policy is written.
        object.__setattr__(self, "_networks", parsed_networks(self.allowed_networks))

    def may_reach(self, address: IpAddress) -> bool:
        """Tell whether a connection to this address may be opened."""
        return may_be_reached(address, self._networks)
