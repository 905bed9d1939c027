"""Where the placed servers of a run are, as its head tells those who call them: `GET /server_addresses`."""

from pydantic import BaseModel

ADDRESSES_PATH = "/server_addresses"
LONGEST_WAIT_S = 20.0
"""How long the head keeps a caller waiting that has the newest addresses already."""


class PlacedWorker(BaseModel):
    """One worker of an instance on a cluster.

    Attributes:
        url: `http://host:port`; None while it is started, the first time or on another node.
        is_failed: It has died too often and won't be started any more.
    """

    url: str | None = None
    is_failed: bool = False


class ServerAddresses(BaseModel):
    """The addresses of every placed instance at one moment.

    Attributes:
        version: Grows with every change.
        servers: The workers of each instance, in the order of their index.
    """

    version: int = 0
    servers: dict[str, list[PlacedWorker]] = {}
