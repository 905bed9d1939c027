"""Ids for answers and their items: unique over processes, cheap to make."""

import itertools
import os
import secrets

_process = secrets.token_hex(6)
_numbers = itertools.count(1)


def fresh_id(prefix: str) -> str:
    """Return an id that was never given before, e.g. `call_3f9c0b1d2e4a0000000000000017`."""
    return f"{prefix}{_process}{next(_numbers):016x}"


def _start_anew() -> None:
    global _process
    _process = secrets.token_hex(6)


# A forked worker would otherwise go on with its parent's numbers.
os.register_at_fork(after_in_child=_start_anew)
