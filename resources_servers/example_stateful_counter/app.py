"""Stateful counter: each session has a number that the policy can add to.

Reward: 1.0 when the number at the end is the task's `expected_count`, else 0.0.
"""

from dataclasses import dataclass

from pydantic import BaseModel

from nemo_gym.environments import BaseResourcesServerConfig, Environment, tool


class StatefulCounterResourcesServerConfig(BaseResourcesServerConfig):
    pass


@dataclass
class Counter:
    count: int


class IncrementCounterResponse(BaseModel):
    success: bool


class GetCounterValueResponse(BaseModel):
    count: int


class StatefulCounterResourcesServer(Environment):
    config: StatefulCounterResourcesServerConfig

    def new_state(self, initial_count: int = 0) -> Counter:
        return Counter(initial_count)

    @tool
    async def increment_counter(self, state: Counter, count: int) -> IncrementCounterResponse:
        """Add to the counter."""
        state.count += count
        return IncrementCounterResponse(success=True)

    @tool
    async def get_counter_value(self, state: Counter) -> GetCounterValueResponse:
        """Get the counter's value."""
        return GetCounterValueResponse(count=state.count)

    async def reward(self, state: Counter, expected_count: int) -> float:
        return float(state.count == expected_count)


if __name__ == "__main__":
    StatefulCounterResourcesServer.run_webserver()
