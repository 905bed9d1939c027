"""Token arrays taken out of a JSON text, and put back: nobody on the way looks at them, so nobody parses them.

An answer of 65,536 tokens is 2 MB of numbers around 1 KB of everything else. Finding them is a search for three names.
"""

import itertools
import math
import re
import secrets
from typing import Any, NamedTuple

import msgspec
import orjson

Arrays = dict[bytes, memoryview]

_PROMPT_IDS, _SAMPLED_IDS, _LOG_PROBS = b'"prompt_token_ids"', b'"generation_token_ids"', b'"generation_log_probs"'
_INTEGER_KEYS = (_PROMPT_IDS, _SAMPLED_IDS)
_KEYS = (*_INTEGER_KEYS, _LOG_PROBS)
_OPENING = re.compile(rb"\s*:\s*\[")
_LEAST_BYTES = 256  # a shorter array is parsed sooner than taken out
# Drawn for each process, so that no text from outside can pass for a place where an array was.
_MARK = f"array-{secrets.token_hex(8)}-".encode()
_numbers = itertools.count()

_SYNTAX = msgspec.json.Decoder(msgspec.Raw)
_FLOATS = msgspec.json.Decoder(list[float])
_WHITESPACE_AND_COMMAS = b" \t\r\n,"
_DIGITS = b"0123456789"


class TokenArrayError(ValueError):
    """A token array isn't a list of the numbers that its key promises."""


class ArraysApart(NamedTuple):
    """A JSON text with `["<mark><number>"]` for each of its long token arrays, and these by number.

    No two arrays share a number, so texts made of pieces of several need only the arrays of all.
    """

    text: bytes
    arrays: Arrays


def take_out_arrays(text: bytes, *, check: bool = False) -> ArraysApart:
    """Return the text without its long token arrays.

    Args:
        check: Look at every array taken out. What stays in the text is for its reader to check.

    Raises:
        TokenArrayError: With `check`: ids that aren't integers, or log-probabilities that aren't finite numbers.
    """
    # Spelled out, as most texts hold none: `any` over a generator costs more than the three searches.
    if len(text) < _LEAST_BYTES or not (_PROMPT_IDS in text or _SAMPLED_IDS in text or _LOG_PROBS in text):
        return ArraysApart(text, {})
    found = sorted((start, end, key) for key in _KEYS for start, end in _arrays_under(key, text))
    pieces: list[bytes] = []
    arrays: Arrays = {}
    end_of_last = 0
    for start, end, key in found:
        array = memoryview(text)[start:end]
        if check:
            _check(array, key)
        number = b"%d" % next(_numbers)
        pieces += (text[end_of_last:start], b'["', _MARK, number, b'"]')
        arrays[number] = array
        end_of_last = end
    return ArraysApart(b"".join((*pieces, text[end_of_last:])), arrays)


def put_back_arrays(text: bytes, arrays: Arrays) -> bytes:
    """Return a text made of pieces of texts without arrays, with the arrays in their places."""
    if not arrays:
        return text
    before, *rest = text.split(b'["' + _MARK)
    pieces: list[bytes | memoryview] = [before]
    for part in rest:
        number, _, after = part.partition(b'"]')
        pieces += (arrays[number], after)
    return b"".join(pieces)


def is_array_mark(value: list[object]) -> bool:
    """Tell whether a decoded list stands where an array was taken out; no text from outside can make one."""
    return len(value) == 1 and isinstance(value[0], str) and value[0].encode().startswith(_MARK)


def array_text(value: Any, arrays: Arrays) -> bytes:
    """Return the JSON text of a list: `Raw`, or decoded, which may stand where an array was taken out."""
    if isinstance(value, msgspec.Raw):
        return bytes(value)
    return bytes(arrays[value[0].encode()[len(_MARK) :]]) if is_array_mark(value) else orjson.dumps(value)


def _arrays_under(key: bytes, text: bytes) -> list[tuple[int, int]]:
    """Return where the long arrays under this key begin and end.

    A quotation mark inside a JSON string is escaped, so a name between two bare ones is a whole string; and what stands
    before a colon is a key.
    """
    found = []
    at = text.find(key)
    while at >= 0:
        end = at + len(key)
        opening = _OPENING.match(text, end)
        if opening is not None and text[at - 1 : at] != b"\\":
            start = opening.end() - 1
            end = text.find(b"]", start) + 1
            if end - start >= _LEAST_BYTES and _is_flat(text, start + 1, end):
                found.append((start, end))
            end = max(end, start)
        at = text.find(key, end)
    return found


def _is_flat(text: bytes, start: int, end: int) -> bool:
    return all(text.find(other, start, end) < 0 for other in (b'"', b"[", b"{"))


def _check(array: memoryview, key: bytes) -> None:
    """Raise TokenArrayError unless the array is valid JSON and holds the numbers its key promises."""
    try:
        _SYNTAX.decode(array)  # skips through it: a third of the time of parsing it
    except msgspec.DecodeError as error:
        raise TokenArrayError(f"{key.decode()}: {error}") from error
    rest = bytes(array).translate(None, _DIGITS + _WHITESPACE_AND_COMMAS)
    if key in _INTEGER_KEYS:
        if rest.replace(b"-", b"") != b"[]":
            raise TokenArrayError(f"{key.decode()} holds something that isn't an integer")
    elif rest.translate(None, b"-.eE+") != b"[]":
        raise TokenArrayError(f"{key.decode()} holds something that isn't a number")
    elif b"e" in rest.lower() and not _is_finite(array):
        raise TokenArrayError(f"{key.decode()} holds a number that isn't finite")


def _is_finite(array: memoryview) -> bool:
    try:
        return all(map(math.isfinite, _FLOATS.decode(array)))
    except msgspec.DecodeError:  # what some versions make of a number out of range
        return False
