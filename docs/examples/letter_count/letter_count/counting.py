"""What the environment knows: here, how to count."""


def count(letter: str, word: str) -> int:
    """Return how often a letter occurs in a word, in either case."""
    return word.lower().count(letter.lower())
