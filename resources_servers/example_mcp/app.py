"""Shopping with tools of an MCP server: the policy must look prices up and say what a basket costs.

The tools, `list_products` and `price_of`, are those of `shop.py`, an MCP server that is started with the environment.
Reward: 1.0 when the last number of the answer is the task's `expected_total` and each price was looked up, else 0.0.
"""

import re

from nemo_gym.environments import Environment, Rollout


class Shopping(Environment):
    def reward(self, rollout: Rollout, basket: dict[str, int], expected_total: int) -> float:
        looked_up = {(call.arguments or {}).get("product") for call in rollout.calls_of("price_of") if call.output}
        numbers = re.findall(r"\d+", rollout.text)
        return float(numbers[-1:] == [str(expected_total)] and basket.keys() <= looked_up)


if __name__ == "__main__":
    Shopping.run_webserver()
