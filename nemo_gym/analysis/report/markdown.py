"""A report as Markdown: for a paper or a pull request."""

from collections.abc import Sequence

from nemo_gym.analysis.report.report import Report, Table


def markdown(report: Report) -> str:
    """Return a report as GitHub's Markdown."""
    parts = [f"# {_text(report.title)}", _table(Table("", ("", ""), report.facts))]
    parts += [_text(note) for note in report.notes]
    for bars in report.bars:
        counts = Table(bars.heading, ("", "tasks"), [(label, f"{count:,}") for label, count in bars.counts])
        parts += [f"## {_text(bars.heading)}", _table(counts)]
    for table in report.tables:
        parts += [f"## {_text(table.heading)}", _table(table)]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    first, *others = table.columns
    rule = ["---", *("---:" for _ in others)]
    return "\n".join([_line([first, *others]), _line(rule), *(_line(row) for row in table.rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_text(cell) for cell in cells)} |"


def _text(text: str) -> str:
    # A bar would end the cell, and a line end the table.
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())
