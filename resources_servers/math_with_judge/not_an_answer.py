r"""Texts that have the right value in them and aren't an answer: several at once, a negation, the question again."""

import re

_NUMBER = r"\$?[-+]?\d+(?:\.\d+)?\$?"
_OR = r"(?:,?\s*\b(?:or|and)\b(?:\s+(?:maybe|perhaps|even|possibly))?|[,;/]\s)\s*"
_ALTERNATIVES = re.compile(rf"(?:\bis\b|:)\s*(?:either\s+)?{_NUMBER}\s{{0,3}}{_OR}{_NUMBER}", re.IGNORECASE)
_BARE_LIST = re.compile(rf"\s*(?:{_NUMBER}[\s,;]+){{2,}}{_NUMBER}[\s.]*")
_EITHER = re.compile(r"\\(?:lor|vee)\b|\\text\{[^{}]*\bor\b[^{}]*\}|\bor\b")
_NEGATION = re.compile(
    r"\b(?:not|wrong|incorrect|false|never|isn't|neither)\b|\\(?:neq?|neg|not)(?![a-z])", re.IGNORECASE
)
_LIST = re.compile(r"[,;]|\\(?:lor|vee|pm)\b|\b(?:or|and)\b")
_OPERATION = re.compile(
    r"(?<=.)[-+*^!]|\\(?:cdot|times|div|sqrt|binom|int|sum|prod|lim|log|ln|sin|cos|tan|gcd|max|min|pmod|bmod)"
)
_LOOK = re.compile(r"\\(?:left|right|displaystyle|[,;:! ])|[\s{}$]")
_NUMBERS_SIDE_BY_SIDE = re.compile(r"\d(?:\s|~|\\q?quad)+\d")


def says_nothing_or_everything(text: str, box: str | None, written: str, expected: str, question: str) -> bool:
    """Tell whether an answer with the right value in it is none all the same.

    Args:
        text: All that the policy wrote.
        box: Its last box; None: it has none.
        written: The answer in it, as it stands there.
        expected: The expected answer.
        question: Of the task.
    """
    if not _LIST.search(expected) and _has_several(text, box):
        return True
    if box is not None and _NEGATION.search(box) and not _NEGATION.search(expected):
        return True
    if _NUMBERS_SIDE_BY_SIDE.search(written) and not _NUMBERS_SIDE_BY_SIDE.search(expected):
        return True  # "5 6" is read as their sum
    return _repeats(box or written, expected, question)


def _has_several(text: str, box: str | None) -> bool:
    if box is not None:
        return _EITHER.search(box) is not None
    return _ALTERNATIVES.search(text) is not None or _BARE_LIST.fullmatch(text) is not None


def _repeats(answer: str, expected: str, question: str) -> bool:
    """Tell whether the answer is an expression of the question with something to compute in it."""
    look = _LOOK.sub("", answer)
    return bool(_OPERATION.search(answer)) and look != _LOOK.sub("", expected) and look in _LOOK.sub("", question)
