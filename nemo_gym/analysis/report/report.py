"""What a page or a table for people shows, whatever its form."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """Rows of texts; `heading`: above it. Numbers are written already."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Bars:
    """A bar chart: counts by label, all from 0 on."""

    heading: str
    counts: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Report:
    """A report.

    Attributes:
        title: In one line.
        facts: Name and value, what a reader wants first.
        notes: Sentences that say how to read it.
        bars: Charts; forms without pictures write them as tables.
        tables: Everything else.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str] = ()
    bars: Sequence[Bars] = ()
    tables: Sequence[Table] = field(default_factory=list)


def number(value: float | None) -> str:
    """Return a number as people read it: three significant digits, whole numbers from 100 on; "-" for None."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
