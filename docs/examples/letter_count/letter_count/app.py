"""Letter count: the policy must say how often a letter occurs in a word.

Reward: 1.0 when the last number of the answer is right, else 0.0.
"""

import re

from letter_count.counting import count
from nemo_gym.environments import Environment, Rollout, tool


class LetterCount(Environment):
    @tool
    def spell(self, word: str) -> str:
        """Spell a word, letter by letter.

        Args:
            word: The word.
        """
        return " ".join(word)

    def reward(self, rollout: Rollout, word: str, letter: str) -> float:
        numbers = re.findall(r"\d+", rollout.text)
        return float(numbers[-1:] == [str(count(letter, word))])


if __name__ == "__main__":
    LetterCount.run_webserver()
