"""Templates in prepared answers: `$city` or `${city}` stands for what the rule's regex captured under that name."""

from collections.abc import Mapping
from string import Template
from typing import Any


def fill(value: Any, groups: Mapping[str, str]) -> Any:
    """Replace captured names in every text inside a JSON value.

    Args:
        value: Any JSON value; mappings and lists are walked, keys stay as they are.
        groups: Captured text by group name. A name that is not in here stays as it was written, `$$` becomes `$`.

    Returns:
        A new value of the same shape. Texts are filled before they are encoded, so a quote in a
        captured text cannot break the JSON of a tool call.
    """
    if isinstance(value, str):
        return Template(value).safe_substitute(groups) if "$" in value else value
    if isinstance(value, Mapping):
        return {key: fill(part, groups) for key, part in value.items()}
    if isinstance(value, list):
        return [fill(part, groups) for part in value]
    return value
