"""Reading a verdict from what a judge wrote: by label, by score, or from a JSON object.

A parser is any callable that takes the judge's text, without its reasoning, and returns a `Verdict`, or None when there
is none: the judge is then asked again.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Verdict:
    """What the judge said, in its words, and the reward that this is worth."""

    said: str
    reward: float


Parser = Callable[[str], Verdict | None]

# "Score: 7/10", "**Score:** 7", "score = 7.5"
SCORE_PATTERN = r"(?i)\bscore\b[\s:=*_]*(-?\d+(?:\.\d+)?)(?:\s*/\s*(\d+(?:\.\d+)?))?"


def label_parser(labels: Mapping[str, float]) -> Parser:
    """Return a parser that looks for the last label in the text.

    A label that begins or ends with a letter or digit counts as a whole word only: CORRECT isn't found in INCORRECT.

    Args:
        labels: Rewards by label, written exactly as the judge is told to; at least one.
    """
    if not labels or "" in labels:
        raise ValueError("a label parser needs labels, none of them empty")
    longest_first = sorted(labels, key=len, reverse=True)
    pattern = re.compile("|".join(f"(?:{_as_word(label)})" for label in longest_first))

    def parse(text: str) -> Verdict | None:
        found = pattern.findall(text)
        return Verdict(found[-1], labels[found[-1]]) if found else None

    return parse


def score_parser(low: float, high: float, pattern: str = SCORE_PATTERN) -> Parser:
    """Return a parser that looks for the last score in the text, and makes a reward in [0, 1] of it.

    A score outside the range, or "out of" another number than `high`, isn't a verdict.

    Args:
        low: The score that is worth 0.
        high: The score that is worth 1; greater than `low`.
        pattern: A regular expression: group 1 is the score, group 2, if there is one, what it is out of.
    """
    compiled = re.compile(pattern)
    if not low < high or not compiled.groups:
        raise ValueError(f"a score parser needs low < high ({low:g}, {high:g}) and a pattern with a group ({pattern})")

    def parse(text: str) -> Verdict | None:
        found = [*compiled.finditer(text)]
        numbers = _numbers(found[-1]) if found else None
        if numbers is None:
            return None
        score, out_of = numbers
        if not low <= score <= high or out_of not in (None, high):
            return None
        return Verdict(found[-1].group(), (score - low) / (high - low))

    return parse


def json_parser(field: str, read: Parser) -> Parser:
    """Return a parser for an answer that is a JSON object, as `text.format` asks for: `read` gets one field as text.

    A field that isn't text is given as JSON: 7, true.
    """

    def parse(text: str) -> Verdict | None:
        try:
            answer: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(answer, dict) or field not in answer:
            return None
        value = answer[field]
        return read(value if isinstance(value, str) else orjson.dumps(value).decode())

    return parse


def _as_word(label: str) -> str:
    before = r"(?<!\w)" if re.match(r"\w", label) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", label) else ""
    return before + re.escape(label) + after


def _numbers(match: re.Match[str]) -> tuple[float, float | None] | None:
    score, out_of, *_ = *match.groups(), None
    try:
        return float(score or ""), None if out_of is None else float(out_of)
    except ValueError:  # a pattern of the author's own may match anything
        return None
