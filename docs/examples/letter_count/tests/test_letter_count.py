"""Rollouts with the environment; the policy is a function."""

import nemo_gym


async def test_the_right_number_is_rewarded_and_another_is_not() -> None:
    for answer, reward in (("It has 3.", 1.0), ("It has 2.", 0.0), ("I don't know.", 0.0)):
        async with nemo_gym.gym("letter_count", model=lambda params, answer=answer: answer) as gym:
            result = await gym.rollout(gym.example_tasks()[0])
        assert (result.outcome, result.reward) == ("scored", reward)
