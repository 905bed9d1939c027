"""What a docstring says of a function and of each of its parameters."""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns|Raises|Yields|Examples?|Notes?):\s*$", re.MULTILINE)
_PARAMETER = re.compile(r"^(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


class Docstring(NamedTuple):
    """`text` is what stands before the first section; `parameters` are the descriptions under `Args:`, by name."""

    text: str
    parameters: dict[str, str]


def read_docstring(function: Callable[..., Any]) -> Docstring:
    """Return the parts of a docstring in Google's style; a function without one has empty parts."""
    whole = inspect.getdoc(function) or ""
    first = _SECTION.search(whole)
    if first is None:
        return Docstring(whole.strip(), {})
    sections = {found[1]: _body(whole, found) for found in _SECTION.finditer(whole)}
    named = sections.get("Args") or sections.get("Arguments") or sections.get("Parameters") or ""
    return Docstring(whole[: first.start()].strip(), _parameters(named))


def _body(whole: str, heading: re.Match[str]) -> str:
    following = _SECTION.search(whole, heading.end())
    return whole[heading.end() : following.start() if following else None]


def _parameters(section: str) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc(section).splitlines():
        parameter = _PARAMETER.match(line)
        if parameter is not None:
            name = parameter[1]
            found[name] = parameter[2].strip()
        elif name and line.strip():
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found
