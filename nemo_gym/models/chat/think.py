"""Reasoning that a model writes into its text, between `<think>` and `</think>`."""

from collections.abc import Iterable
from typing import NamedTuple

OPEN_TAG = "<think>"
CLOSE_TAG = "</think>"


class ThinkSplit(NamedTuple):
    """`thoughts` holds what stood inside each block, in order; `text` is the rest, joined without a separator."""

    thoughts: list[str]
    text: str


def split_thoughts(text: str, *, template_opens: bool = False) -> ThinkSplit:
    """Separate reasoning from the answer, in time linear in the length of the text; whitespace is kept.

    A block without an end tag is reasoning up to the end when only whitespace stands before it: the answer was cut off.
    Further on it is text, because there the tag is merely mentioned. An end tag before any start tag ends a block
    that the chat template began. Any other end tag is text. Blocks don't nest: the first end tag closes.

    Args:
        text: What the model generated.
        template_opens: The template wrote the first `<think>`, so the text begins inside a block.
    """
    thoughts: list[str] = []
    kept: list[str] = []
    at = 0
    start, end = text.find(OPEN_TAG), text.find(CLOSE_TAG)
    begins_inside = template_opens and not (start == 0 or text[: max(start, 0)].isspace())
    if end >= 0 and (begins_inside or start < 0 or end < start):
        thoughts.append(text[:end])
        at = end + len(CLOSE_TAG)
    elif begins_inside:
        return ThinkSplit([text], "")
    while (start := text.find(OPEN_TAG, at)) >= 0:
        inside = start + len(OPEN_TAG)
        end = text.find(CLOSE_TAG, inside)
        if end < 0:
            if start == 0 or text[:start].isspace():
                return ThinkSplit([text[inside:]], text[:start])
            break
        kept.append(text[at:start])
        thoughts.append(text[inside:end])
        at = end + len(CLOSE_TAG)
    kept.append(text[at:])
    return ThinkSplit(thoughts, "".join(kept))


def as_think_blocks(thoughts: Iterable[str]) -> str:
    """Return the thoughts as the text that `split_thoughts` reads them from."""
    return "".join(f"{OPEN_TAG}{thought}{CLOSE_TAG}" for thought in thoughts)
