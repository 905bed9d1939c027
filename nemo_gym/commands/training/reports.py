"""Reports on the console and as files, and the checks of where they go."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table as Shown

from nemo_gym.analysis.report.html import html
from nemo_gym.analysis.report.markdown import markdown
from nemo_gym.analysis.report.report import Report, Table
from nemo_gym.collections.drafts import Drafts, check_new_file
from nemo_gym.config.errors import ConfigError, Mistake

_MAX_ROWS_PRINTED = 20
_LEAST_WIDTH = 120  # of a table of ten columns


def check_outputs(options: BaseModel, names: Iterable[str], inputs: tuple[Path, ...]) -> None:
    """Raise ConfigError for an output, by the name of its parameter, that can't be written; null ones are left out."""
    seen: dict[Path, str] = {}
    for name in names:
        path: Path | None = getattr(options, name)
        if path is not None:
            check_new_file(path, name, overwrite=getattr(options, "overwrite", False), inputs=inputs)
            if (other := seen.setdefault(path.absolute(), name)) != name:
                raise ConfigError(Mistake(f"{name} and {other} are the same file", where=name))


def write_report(drafts: Drafts, report: Report, markdown_path: Path | None, html_path: Path | None) -> None:
    """Write drafts of a report in the forms that were asked for; raises OutputError."""
    if markdown_path is not None:
        drafts.open(markdown_path).write(markdown(report).encode())
    if html_path is not None:
        drafts.open(html_path).write(html(report).encode())


def print_report(report: Report) -> None:
    """Print facts, notes and the first rows of each table."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.width = max(console.width, _LEAST_WIDTH)
    for table in (Table(report.title, ("", ""), report.facts), *report.tables):
        _print_table(console, table)
    for note in report.notes:
        console.print(note)


def _print_table(console: Console, table: Table) -> None:
    shown = Shown(title=table.heading, title_justify="left", box=None, header_style="bold")
    for at, column in enumerate(table.columns):
        shown.add_column(column, justify="right" if at else "left")
    for row in table.rows[:_MAX_ROWS_PRINTED]:
        shown.add_row(*row)
    console.print(shown)
    if (more := len(table.rows) - _MAX_ROWS_PRINTED) > 0:
        console.print(f"… {more:,} more\n")
