"""Which option an answer names, by the grading mode of its task."""

import re
from collections.abc import Callable, Iterable
from typing import Literal

from nemo_gym.environments import boxed_answers

GradingMode = Literal["strict_single_letter_boxed", "lenient_boxed", "lenient_answer_colon"]
OnConflict = Literal["refuse", "first"]

_WRAPPED = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}")
_ANSWER_COLON = re.compile(r"(?i)answer[*_]{0,2}\s{0,20}:([^\n]*)")
_NEGATION = re.compile(r"(?i)\b(?:not|never|neither|except|but|other than)\b|n[’']t\b")  # noqa: RUF001
_MOST_CHANGES_OF_MIND = 2


def option_texts(options: Iterable[dict[str, str | None]]) -> dict[str, str]:
    """Return the normalized texts of the options by their letter, upper case; null is no option."""
    pairs = ((key.strip().upper(), text) for option in options for key, text in option.items())
    return {key: normalized(text) for key, text in pairs if text is not None and len(key) == 1 and key.isalpha()}


def normalized(text: str) -> str:
    """Return a text in lower case, with single spaces."""
    return " ".join(text.lower().split())


def template_letter(matches: list[str], options: dict[str, str]) -> str | None:
    """Return the letter of the last match of a task's own expression, which may be one that no option has.

    Who names more than two letters goes through the options and names none: None.
    """
    letters = [_letter_of_match(match, options) for match in matches]
    if not letters or len({letter for letter in letters if letter}) > _MOST_CHANGES_OF_MIND:
        return None
    return letters[-1]


def _letter_of_match(match: str, options: dict[str, str]) -> str | None:
    if len(match) == 1 and match.isalpha():
        return match.upper()
    return _same_text(match, options)


def graded_letter(text: str, options: dict[str, str], mode: GradingMode, on_conflict: OnConflict) -> str | None:
    """Return the letter that the answer names by the rule of `mode`; None where it names none.

    Where it names different ones in several places, `on_conflict` decides.
    """
    rules: dict[GradingMode, Callable[[], list[str]]] = {
        "strict_single_letter_boxed": lambda: _single_letters(text),
        "lenient_boxed": lambda: _single_letters(text) or _boxed_options(text, options),
        "lenient_answer_colon": lambda: _options_after_colon(text, options),
    }
    named = rules[mode]()
    if not named or (on_conflict == "refuse" and len(set(named)) > 1):
        return None
    return named[0] if named[0] in options else None


def _single_letters(text: str) -> list[str]:
    """Return the letters of the boxes that hold one upper-case letter, and no other letter beside it."""
    letters = ("".join(filter(str.isalpha, box)) for box in boxed_answers(text))
    return [letter for letter in letters if len(letter) == 1 and letter.isupper()]


def _boxed_options(text: str, options: dict[str, str]) -> list[str]:
    """Return for each box the option whose text is in it, where it is exactly one."""
    named = (_option_in(_WRAPPED.sub(r"\1", box), options) for box in boxed_answers(text))
    return [letter for letter in named if letter is not None]


def _option_in(box: str, options: dict[str, str]) -> str | None:
    same = _same_text(box, options)
    if same is not None:
        return same
    content = normalized(box)
    # As words: "4" isn't in "14". "Not lead" isn't lead.
    inside = {
        letter for letter, text in options.items() if text and re.search(rf"(?<!\w){re.escape(text)}(?!\w)", content)
    }
    if len(inside) != 1:
        return None
    (letter,) = inside
    return None if _NEGATION.search(content.replace(options[letter], "")) else letter


def _options_after_colon(text: str, options: dict[str, str]) -> list[str]:
    """Return what each "Answer: ..." names: a letter, or an option's text; "" where it is neither."""
    lines = (_WRAPPED.sub(r"\1", found[1]).strip(" \t\r*_") for found in _ANSWER_COLON.finditer(text))
    return [_letter_of_line(line, options) for line in lines]


def _letter_of_line(line: str, options: dict[str, str]) -> str:
    letter = line.strip("()[]. \t$*").upper()
    return letter if letter in options else _same_text(line, options) or ""


def _same_text(text: str, options: dict[str, str]) -> str | None:
    """Return the letter of the one option with this text."""
    same = [letter for letter, option in options.items() if option and option == normalized(text)]
    return same[0] if len(same) == 1 else None
