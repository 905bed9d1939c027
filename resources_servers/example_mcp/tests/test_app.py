"""The shop is a real MCP server; the policy is a function."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nemo_gym

FOLDER = Path(__file__).parents[1]
Policy = Callable[[dict[str, Any]], Any]


def shopper(answer: Callable[[dict[str, int]], str], look_up: bool = True) -> Policy:
    """Return a policy that looks the prices of bread and cheese up, and answers from what it read."""

    def policy(params: dict[str, Any]) -> Any:
        outputs = [item["output"] for item in params["input"] if item.get("type") == "function_call_output"]
        if look_up and not outputs:
            calls = [{"name": "price_of", "arguments": {"product": product}} for product in ("bread", "cheese")]
            return {"calls": calls}
        return answer(dict(zip(("bread", "cheese"), map(int, outputs), strict=False)))

    return policy


def total(prices: dict[str, int]) -> str:
    return f"You pay {2 * prices['bread'] + prices['cheese']} euros."


@pytest.mark.parametrize(
    ("policy", "reward"),
    [
        pytest.param(shopper(total), 1.0, id="looks-up-and-adds"),
        pytest.param(shopper(lambda prices: "You pay 12 euros."), 0.0, id="adds-wrongly"),
        pytest.param(shopper(lambda prices: "You pay 13 euros.", look_up=False), 0.0, id="guesses"),
        pytest.param(shopper(lambda prices: "I don't know.", look_up=False), 0.0, id="gives-up"),
    ],
)
async def test_a_policy_is_rewarded_for_a_total_of_prices_that_it_looked_up(policy: Policy, reward: float) -> None:
    async with nemo_gym.gym(FOLDER, policy) as gym:
        result = await gym.rollout(gym.example_tasks()[0])
    assert (result.outcome, result.reward) == ("scored", reward)


async def test_the_policy_is_offered_the_tools_of_the_shop() -> None:
    asked: list[dict[str, Any]] = []

    def policy(params: dict[str, Any]) -> str:
        asked.append(params)
        return "I don't know."

    async with nemo_gym.gym(FOLDER, policy) as gym:
        await gym.rollout("hello")
    assert [tool["name"] for tool in asked[0]["tools"]] == ["list_products", "price_of"]
    assert asked[0]["tools"][1]["parameters"]["required"] == ["product"]
