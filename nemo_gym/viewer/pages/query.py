"""The filter as people type it: `reward<1 outcome=scored kind=timeout steps>=3 tag=bad "some words"`."""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

_TERM = re.compile(
    r"""\s*(?:
        (?P<name>[\w.@-]+)(?P<operator>!=|<=|>=|=|<|>)(?:"(?P<quoted_value>[^"]*)"|(?P<value>\S*))
        | "(?P<quoted>[^"]*)" | (?P<word>\S+)
    )""",
    re.VERBOSE,
)
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
HOW = 'write reward<1, outcome=scored, kind=…, steps>=3, tag=…, a field of the verdict, or "words of the rollout"'


class QueryError(ValueError):
    """A filter that can't be understood; the text says what is wrong with it."""


@dataclass(frozen=True)
class Condition:
    """`name operator value`. Which names there are depends on the collection."""

    name: str
    operator: str
    value: str

    @property
    def number(self) -> float:
        """The value as a number; raises QueryError."""
        try:
            return float({"true": "1", "false": "0"}.get(self.value.lower(), self.value))
        except ValueError:
            raise QueryError(f"{self.name} is compared with a number, and '{self.value}' isn't one; {HOW}") from None

    def admits(self, value: float) -> bool:
        """Tell whether a number meets the condition. One that isn't known (NaN) meets none."""
        return not math.isnan(value) and _OPERATORS[self.operator](value, self.number)

    def admits_text(self, value: str) -> bool:
        """Tell whether a text meets the condition: it is, or isn't, the value; raises QueryError for an order."""
        if self.operator not in ("=", "!="):
            raise QueryError(f"{self.name} is text, so only = and != can be asked of it; {HOW}")
        return (value == self.value) == (self.operator == "=")


@dataclass(frozen=True)
class Query:
    """A filter: every condition is met, and every text occurs in the rollout."""

    conditions: tuple[Condition, ...] = ()
    texts: tuple[str, ...] = ()


def parse_query(text: str) -> Query:
    """Return the filter that a text says; "" admits every rollout."""
    conditions, texts = [], []
    for match in _TERM.finditer(text.strip()):
        if match["name"] is not None:
            value = match["quoted_value"] if match["quoted_value"] is not None else match["value"]
            conditions.append(Condition(match["name"], match["operator"], value))
        else:
            texts.append(match["word"] if match["quoted"] is None else match["quoted"])
    return Query(tuple(conditions), tuple(text for text in texts if text))
