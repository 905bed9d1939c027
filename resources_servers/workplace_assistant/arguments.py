"""What tools ask of their arguments beyond a type; the policy reads what is wrong."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, StrictInt

from nemo_gym.environments import ToolError

_TIME_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


Needed = Annotated[str, AfterValidator(_not_empty)]
"""A text that isn't empty."""

TextOrNumber = Needed | StrictInt
"""A text that policies also write as a number; kept as text."""


def address(text: str) -> str:
    """Return an email address in lower case; raises ToolError when it has no @ or no dot."""
    if "@" not in text or "." not in text:
        raise ToolError(f"{text!r} is not an email address.")
    return text.lower()


def one_of(value: str, allowed: tuple[str, ...], name: str) -> str:
    """Return the value; raises ToolError when it isn't allowed."""
    if value not in allowed:
        raise ToolError(f"{name} must be one of: {', '.join(allowed)}; not {value!r}.")
    return value


def moment(text: str) -> str:
    """Return a date, with or without a time, as `YYYY-MM-DD HH:MM:SS`; raises ToolError when it is none."""
    for time_format in _TIME_FORMATS:
        try:
            return str(datetime.strptime(text.strip().replace("T", " "), time_format))
        except ValueError:
            continue
    raise ToolError(f"{text!r} is not a time; write YYYY-MM-DD HH:MM:SS.")


def minutes(duration: str | int) -> str:
    """Return a duration in whole minutes, at least 1, as text; raises ToolError when it is none."""
    text = str(duration).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) > 0):
        raise ToolError(f"The duration must be a whole number of minutes above 0, not {text!r}.")
    return str(int(text))
