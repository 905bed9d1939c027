"""Café: a guest orders over several turns, and changes their mind; the policy must end up with exactly the order.

The first wish is the task's prompt, the others are `wishes`. The guest reads them out one after the other, or is played
by a second model that knows them. Reward: 1.0 when the order at the end is the task's `expected_order`, else 0.0.
"""

from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, PrivateAttr

from nemo_gym.environments import (
    BaseResourcesServerConfig,
    Environment,
    Rollout,
    SimulatedUser,
    SimulatedUserConfig,
    UserReply,
    Verdict,
    tool,
)


class CafeConfig(BaseResourcesServerConfig):
    simulated_user: SimulatedUserConfig | None = Field(
        default=None, description="The model that plays the guest; absent: the guest reads the task's wishes out."
    )


@dataclass
class Order:
    quantities: dict[str, int] = field(default_factory=dict)


class CafeServer(Environment):
    config: CafeConfig
    _guest: SimulatedUser | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if self.config.simulated_user is not None:
            self._guest = SimulatedUser(self.server_client, self.config.simulated_user, placeholders=("wishes",))

    @tool
    async def set_quantity(self, state: Order, item: str, quantity: int) -> str:
        """Say how many of an item the guest wants in all.

        Args:
            item: Singular, in lower case.
            quantity: 0 takes the item off the order.
        """
        state.quantities[item] = quantity
        return ", ".join(f"{number} x {name}" for name, number in state.quantities.items() if number) or "nothing yet"

    async def next_turn(self, rollout: Rollout, wishes: list[str]) -> UserReply | str | None:
        if self._guest is not None:
            numbered = "\n".join(f"{number}. {wish}" for number, wish in enumerate(wishes, start=1))
            return await self._guest.reply(rollout, wishes=numbered)
        said = rollout.turns - 1
        return wishes[said] if said < len(wishes) else None

    async def reward(self, state: Order, expected_order: dict[str, int]) -> Verdict:
        order = {name: number for name, number in state.quantities.items() if number}
        return Verdict(float(order == expected_order), fields={"order": order})


if __name__ == "__main__":
    CafeServer.run_webserver()
