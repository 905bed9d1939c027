"""Token arrays cut out of a JSON text, and put back: nobody on the way looks at them, so nobody on the way parses them.

An answer of 65,536 tokens is 2 MB of numbers around 1 KB of everything else. Cutting costs a search for three names.
"""

import itertools
import re
import secrets
from typing import NamedTuple

Spans = dict[bytes, memoryview]

_KEYS = (b'"prompt_token_ids"', b'"generation_token_ids"', b'"generation_log_probs"')
_OPENING = re.compile(rb"\s*:\s*\[")
_LEAST_BYTES = 256  # a shorter array is parsed sooner than cut
# Drawn for each process, so that no text from outside can pass for a place where something was cut out.
_MARK = f"cut-{secrets.token_hex(8)}-".encode()
_numbers = itertools.count()


class CutText(NamedTuple):
    """A JSON text with `["<mark><number>"]` for each of its long token arrays, and these by number.

    No two arrays share a number, so texts made of pieces of several cut ones need only the spans of all.
    """

    text: bytes
    spans: Spans


def cut_token_arrays(text: bytes) -> CutText:
    """Return the text without its long token arrays."""
    if len(text) < _LEAST_BYTES or (_KEYS[0] not in text and _KEYS[1] not in text and _KEYS[2] not in text):
        return CutText(text, {})
    arrays = sorted(array for key in _KEYS for array in _arrays_under(key, text))
    pieces: list[bytes] = []
    spans: Spans = {}
    end_of_last = 0
    for start, end in arrays:
        number = b"%d" % next(_numbers)
        pieces += (text[end_of_last:start], b'["', _MARK, number, b'"]')
        spans[number] = memoryview(text)[start:end]
        end_of_last = end
    return CutText(b"".join((*pieces, text[end_of_last:])), spans)


def put_back(text: bytes, spans: Spans) -> bytes:
    """Return a text made of pieces of cut ones, with the token arrays in their places."""
    if not spans:
        return text
    before, *rest = text.split(b'["' + _MARK)
    pieces: list[bytes | memoryview] = [before]
    for part in rest:
        number, _, after = part.partition(b'"]')
        pieces += (spans[number], after)
    return b"".join(pieces)


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
            if end - start >= _LEAST_BYTES and _holds_numbers(text, start + 1, end):
                found.append((start, end))
            end = max(end, start)
        at = text.find(key, end)
    return found


def _holds_numbers(text: bytes, start: int, end: int) -> bool:
    return all(text.find(other, start, end) < 0 for other in (b'"', b"[", b"{"))
