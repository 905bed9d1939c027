r"""Finding the final answer in what a policy wrote: in `\boxed{}`, after a marker, as an option letter, as JSON.

Each function takes any text, returns None where there is no answer, never raises, and takes time in proportion to the
length of the text.
"""

import re
from contextlib import suppress
from typing import Any

import orjson

OPTION_LETTERS = "ABCDEFGHIJ"

# `\\boxed{` too: policies escape what they take for the inside of a string.
_BOX_TOKEN = re.compile(r"\\{1,2}boxed(?:(?P<brace>\s*\{)|[ \t]+(?P<bare>[^\s${}\\]+))|\\.|[{}]", re.DOTALL)


def boxed_answer(text: str) -> str | None:
    r"""Return the content of the last `\boxed{…}`, without outer whitespace.

    Braces inside may nest, and `\{` and `\}` are none. Of boxes inside each other the innermost counts. `\boxed 5`
    counts up to the next space, brace, backslash or `$`. A box whose brace never closes, and an empty one, are none.
    """
    boxes = boxed_answers(text)
    return boxes[-1] if boxes else None


def boxed_answers(text: str) -> list[str]:
    r"""Return the contents of all boxes that count for `boxed_answer`, in the order in which they begin."""
    found: dict[int, str] = {}
    opened: list[int] = []  # for each open brace: where the content of its box begins; -1: it isn't the brace of a box
    for token in _BOX_TOKEN.finditer(text):
        if token["bare"] is not None:
            found[token.start()] = token["bare"].rstrip(".,;:!?*")
        elif token["brace"] is not None or token[0] == "{":
            opened.append(-1 if token["brace"] is None else token.end())
        elif token[0] == "}" and opened and (start := opened.pop()) != -1:
            # A box around another is only its frame; copying the content on each level would take quadratic time, too.
            found[start] = "" if _is_frame(found, start) else text[start : token.start()].strip()
    return [found[start] for start in sorted(found) if found[start]]


def _is_frame(found: dict[int, str], start: int) -> bool:
    """Tell whether the box that was found last begins inside the one that begins at `start`."""
    return bool(found) and next(reversed(found)) > start


def answer_after(text: str, marker: str = "Answer:") -> str | None:
    """Return the rest of the line after the last marker, or the next line with anything in it.

    Upper and lower case are the same, and `**Answer:** 5` is found as `Answer: 5` is; emphasis around the answer is
    left out. The last marker counts even when nothing follows it: the answer is then None.

    Args:
        text: What the policy wrote.
        marker: Not empty. Where it begins with a letter or digit, it isn't found inside a word.
    """
    stem, colon = marker.removesuffix(":"), r"[*_ \t]{0,4}:" if marker.endswith(":") else ""
    before = r"(?<!\w)" if re.match(r"\w", marker) else ""
    ends = [found.end() for found in re.finditer(before + re.escape(stem) + colon, text, re.IGNORECASE)]
    if not ends:
        return None
    lines = (line.strip("* \t\r") for line in text[ends[-1] :].splitlines())
    return next((line for line in lines if line), None)


_WRAPPED = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathsf|rm|bf)\s{0,3}\{([^{}]{0,80})\}")
_DRESSING = re.compile(r"[\s*_`$.:;,!(){}\[\]<>\\\"']+")
_OPENING, _NOT_A_WORD = r"[*_`\"'$({\[<\\]{0,6}", r"(?![\w'\u2019\-])"
# "A" and "I" are words too: as letters they count only where nothing follows that would make them one.
_LETTER = (
    rf"{_OPENING}(?:\b(?:option|choice)[ ]+)?{_OPENING}"
    rf"(?:([B-HJ-Z]){_NOT_A_WORD}|([AI]){_NOT_A_WORD}(?![ ]+[a-z](?!ecause|ince|s\b)))"
)
_OR_ANOTHER = rf"(?:[)\]}}*_`$\s]{{0,4}}(?:,|/|&|\bor\b|\band\b)\s{{0,2}}{_LETTER})?"
_FINALLY_SAID = re.compile(
    rf"(?i:\bfinal\s+(?:answer|choice)\b[*_]{{0,2}}(?:\s{{0,3}}[:=]|\s+is\b:?)\s{{0,3}}[*_]{{0,2}}\s?){_LETTER}{_OR_ANOTHER}"
)
_SAID = re.compile(
    r"(?i:\b(?:answer|choice|option)\b[*_]{0,2}(?:\s{0,3}[:=]|\s+(?:is|(?:would|must|should)\s+be)\b:?)\s{0,3}"
    rf"[*_]{{0,2}}\s?){_LETTER}{_OR_ANOTHER}"
)
_SAID_BEFORE = re.compile(
    r"(?:(?i:\b(?:option|choice|answer)\s+)[*_(]{0,3}\b([A-Z])|[*_(]{0,3}\b([B-HJ-Z]))\b[*_)]{0,3}"
    r"\s+is\s+(?:the\s+)?(?:right|correct|answer\b)"
)
_DOUBTED = re.compile(
    r"(?:\b(?:if|whether|unless|suppose|assume)|n[o'\u2019]t\s+(?:think|believe|say|sure|clear|mean)|doubt)"
    r"(?:\s+(?:that|if|whether))?\s+(?:the\s+)?(?:correct\s+|right\s+|final\s+)?$",
    re.IGNORECASE,
)
_MARKED = re.compile(r"\(([A-Z])\)|\*\*\(?([A-Z])\)?[.:)]?\*\*|(?m:^[ \t]{0,8}([A-Z])[.:)]?[ \t]*$)")


def option_letter(text: str, letters: str = OPTION_LETTERS) -> str | None:
    r"""Return the letter of the option that the text decides for.

    Where a letter is looked for, the strongest first; the first that has any letter decides, no other is looked at:

    1. the whole text, where it is nothing but a letter: `b`, `(B)`, `**B.**`, `$\text{B}$`
    2. the last `\boxed{}`: a letter as above, or with what the option says after it: `\boxed{B) Oslo}`
    3. "final answer is B", "Final answer: B"
    4. "the answer is B", "Answer: B", "the correct option is (B)", "B is correct"
    5. letters that are marked, anywhere: `(B)`, `**B**`, a line with a letter alone

    Different letters inside one of these give None, whichever comes last. Letters are upper case but for 1.
    and 2., never a part of a word, and never the words "A" and "I" of a sentence. One that isn't in `letters` counts as
    different from all others, so an answer outside the options doesn't fall through to a weaker one.
    """
    plain = _WRAPPED.sub(r"\1", _WRAPPED.sub(r"\1", text))
    box = boxed_answer(plain)
    for found in (
        _whole_letter(plain),
        _boxed_letter(box) if box is not None else set(),
        _said_letters(_FINALLY_SAID, plain),
        _said_letters(_SAID, plain) | _said_letters(_SAID_BEFORE, plain),
        {letter for groups in _MARKED.findall(plain) for letter in groups if letter},
    ):
        if found:
            letter = found.pop() if len(found) == 1 else ""
            return letter if letter and letter in letters else None
    return None


def _whole_letter(text: str) -> set[str]:
    bare = _DRESSING.sub("", text)
    return {bare.upper()} if len(bare) == 1 and bare.isascii() and bare.isalpha() else set()


def _boxed_letter(box: str) -> set[str]:
    """Return the letter of a box; a box with anything else has one that no option has: it says what the answer is."""
    first = re.match(r"[\s*$(\[]{0,4}([A-Z])[)\].:][)\]*\s]{0,4}(?=\w|$)", box)
    return _whole_letter(box) or ({first[1]} if first is not None else {""})


def _said_letters(pattern: re.Pattern[str], text: str) -> set[str]:
    return {
        letter
        for said in pattern.finditer(text)
        if not _DOUBTED.search(text[max(0, said.start() - 60) : said.start()])
        for letter in said.groups()
        if letter
    }


_JSON_TOKEN = re.compile(
    r'\s*+(?:(?P<mark>[{}\[\],:])|(?P<string>"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+")'
    r"|(?:true|false|null|-?[0-9][0-9.eE+-]*+))"
)
# What may come next: K a key, V a value, : , and the closing mark; by what came before.
_AFTER_OPENING = {"{": "K}", "[": "V]"}
_AFTER_COMMA = {"{": "K", "[": "V"}
_CLOSING = {"{": "}", "[": "]"}


def json_object(text: str) -> dict[str, Any] | None:
    """Return the last JSON object in the text, in a code fence or bare.

    It must be valid by itself: no NaN, no lone surrogates, at most 1,024 levels. An object inside another is part of
    it. What is inside a truncated or malformed object doesn't count.
    """
    found: dict[str, Any] | None = None
    start = text.find("{")
    while start != -1:
        end, closed = _end_of_object(text, start)
        if closed:
            with suppress(ValueError):  # a number like 1.2.3, a surrogate, too deep
                found = orjson.loads(text[start:end])
        start = text.find("{", end)
    return found


def _end_of_object(text: str, start: int) -> tuple[int, bool]:
    """Return where an object ends, or where it stops to be one: what is open there can't be an object either."""
    opened = ["{"]
    allowed, at = _AFTER_OPENING["{"], start + 1
    while opened and (token := _JSON_TOKEN.match(text, at)) is not None:
        mark = token["mark"]
        if mark is None and ("V" in allowed or ("K" in allowed and token["string"] is not None)):
            allowed = ":" if "K" in allowed else "," + _CLOSING[opened[-1]]
        elif mark in ("{", "[") and "V" in allowed:
            opened.append(mark)
            allowed = _AFTER_OPENING[mark]
        elif mark is not None and mark in allowed:
            if mark in "}]":
                opened.pop()
                allowed = "," + _CLOSING[opened[-1]] if opened else ""
            else:
                allowed = "V" if mark == ":" else _AFTER_COMMA[opened[-1]]
        else:
            break
        at = token.end()
    return at, not opened
