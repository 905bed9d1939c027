"""What the checks of an environment found, as a table, as JSON, and as a yes or no."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nemo_gym.wire.json_object import JsonObject

_MAX_TASKS_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        name: Which, such as `cheatable_verifier`.
        what: In one sentence.
        tasks: Indices of the tasks it is about, from 0; empty: it isn't about single tasks.
    """

    name: str
    what: str
    tasks: tuple[int, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.tasks[:_MAX_TASKS_SHOWN]))
        more = f" and {len(self.tasks) - _MAX_TASKS_SHOWN} more" if len(self.tasks) > _MAX_TASKS_SHOWN else ""
        where = f" (task {shown}{more})" if self.tasks else ""
        return f"{self.name}: {self.what}{where}"


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Attributes:
        check: Its name.
        summary: What was looked at, in a few words.
        findings: Empty: it passed.
        rows: The numbers behind it, with the same keys in every row.
    """

    check: str
    summary: str
    findings: Sequence[Finding] = ()
    rows: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


@dataclass(frozen=True)
class Report:
    """All checks of one environment."""

    environment: str
    results: Sequence[CheckResult]

    @property
    def is_passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order of the checks."""
        return [finding for result in self.results for finding in result.findings]

    @property
    def names(self) -> set[str]:
        """Names of what was found."""
        return {finding.name for finding in self.findings}

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or f"{self.environment}: passed"

    def json(self) -> JsonObject:
        """Return it as plain data."""
        results = [{**asdict(result), "is_passed": not result.findings} for result in self.results]
        return {"environment": self.environment, "is_passed": self.is_passed, "checks": results}

    def table(self) -> RenderableType:
        """Return it as a person reads it: one line for each check, then the numbers, then what was found."""
        checks = Table("check", "", "looked at", title=self.environment, title_justify="left")
        for result in self.results:
            passed = "[red]failed" if result.findings else "[green]passed"
            checks.add_row(result.check, passed, result.summary)
        numbers = [_numbers(result) for result in self.results if result.rows]
        return Group(checks, *numbers, *(Text(str(finding), style="red") for finding in self.findings))


def _numbers(result: CheckResult) -> Table:
    table = Table(*map(str, result.rows[0]), title=result.check, title_justify="left")
    for row in result.rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    return table
