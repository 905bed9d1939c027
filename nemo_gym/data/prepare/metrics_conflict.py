"""Do the numbers of a task set agree with those recorded before?"""

from collections.abc import Iterator, Mapping
from typing import Any

_TOLERANCE_FROM_1 = 5e-3  # recorded numbers are rounded to two decimals there,
_TOLERANCE_BELOW_1 = 5e-4  # and to three here


def differences(recorded: Any, now: Any, name: str = "") -> Iterator[str]:
    """Yield each recorded field that is now missing or different, as a line for a person; new fields are fine.

    Whole numbers and texts are compared exactly, numbers up to the rounding, lists without regard to order.
    """
    if isinstance(recorded, Mapping) and isinstance(now, Mapping):
        for key, value in recorded.items():
            path = f"{name}.{key}" if name else str(key)
            if key in now:
                yield from differences(value, now[key], path)
            else:
                yield f"{path}: recorded {_shown(value)}, now missing"
    elif not _agree(recorded, now):
        yield f"{name}: recorded {_shown(recorded)}, now {_shown(now)}"


def _agree(recorded: Any, now: Any) -> bool:
    if isinstance(recorded, list) and isinstance(now, list):
        return _agree_as_multisets(recorded, now)
    if isinstance(recorded, Mapping) and isinstance(now, Mapping):
        return not any(differences(recorded, now))
    if _is_number(recorded) and _is_number(now) and float in (type(recorded), type(now)):
        from_1 = max(abs(recorded), abs(now)) >= 1
        return bool(abs(recorded - now) <= (_TOLERANCE_FROM_1 if from_1 else _TOLERANCE_BELOW_1))
    return type(recorded) is type(now) and bool(recorded == now)


def _agree_as_multisets(recorded: list[Any], now: list[Any]) -> bool:
    left = list(now)
    for value in recorded:
        match = next((index for index, other in enumerate(left) if _agree(value, other)), None)
        if match is None:
            return False
        del left[match]
    return not left


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:99]}…"
