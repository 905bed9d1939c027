"""What a head is told of its run, for tests that have a head and no launcher."""

from dataclasses import dataclass, field
from typing import Any

from nemo_gym.servers.runs.addresses import ServerAddresses
from nemo_gym.servers.runs.record import ServerInstanceState


@dataclass
class FixedFacts:
    """Facts that don't change."""

    config: dict[str, Any]
    run_id: str = ""
    states: list[ServerInstanceState] = field(default_factory=list)

    def public_config(self) -> dict[str, Any]:
        return self.config

    def states_now(self) -> list[ServerInstanceState]:
        return self.states

    async def addresses_after(self, version: int, wait_s: float) -> ServerAddresses:
        return ServerAddresses()
