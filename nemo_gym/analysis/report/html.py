"""A report as one HTML page that needs nothing else: no scripts, no fonts, no network."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape

from nemo_gym.analysis.report.report import Bars, Report, Table

_WIDTH, _HEIGHT = 1000, 100
_GAP = 0.15


def html(report: Report, sheet: str) -> str:
    """Return a report as a page.

    Args:
        sheet: A style sheet for the classes of the viewer's pages, whose looks the report has.
    """
    parts = [f"<h1>{escape(report.title)}</h1>", _facts(report.facts)]
    parts += [f'<p class="quiet">{escape(note)}</p>' for note in report.notes]
    parts += [f'<section class="panel"><h2>{escape(bars.heading)}</h2>{_chart(bars)}</section>' for bars in report.bars]
    parts += [f"<section><h2>{escape(table.heading)}</h2>{_table(table)}</section>" for table in report.tables]
    # The policy says that a browser would run nothing, whatever a name in the data holds.
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{sheet}</style>"
    )
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body>\n<main class="stack">\n{body}\n</main>\n'
        "</body>\n</html>\n"
    )


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    figures = (
        f'<div class="figure"><div class="value">{escape(value)}</div><div class="name">{escape(name)}</div></div>'
        for name, value in facts
    )
    return f'<div class="figures">{"".join(figures)}</div>'


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col"{_numeric(at)}>{escape(column)}</th>' for at, column in enumerate(table.columns))
    body = "\n".join(f"<tr>{_cells(row)}</tr>" for row in table.rows)
    frame = f'<div class="table-frame" tabindex="0" role="region" aria-label="{escape(table.heading)}">'
    return f"{frame}<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"


def _cells(row: Sequence[str]) -> str:
    first, *others = row
    cells = "".join(f'<td class="number">{escape(cell)}</td>' for cell in others)
    return f'<th scope="row">{escape(first)}</th>{cells}'


def _numeric(column: int) -> str:
    return ' class="number"' if column else ""


def _chart(bars: Bars) -> str:
    most = max((count for _, count in bars.counts), default=0) or 1
    step = _WIDTH / max(1, len(bars.counts))
    rects = []
    for at, (label, count) in enumerate(bars.counts):
        height = round(_HEIGHT * count / most, 2)
        x, width = round(step * (at + _GAP / 2), 2), round(step * (1 - _GAP), 2)
        title = f"<title>{escape(label)}: {count:,}</title>"
        rects.append(
            f'<rect class="bar-rect" x="{x}" y="{_HEIGHT - height}" width="{width}" height="{height}">{title}</rect>'
        )
    words = escape(", ".join(f"{label}: {count:,}" for label, count in bars.counts))
    picture = (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{words}">'
        f"{''.join(rects)}</svg>"
    )
    counts = _line("counts", [f"{count:,}" for _, count in bars.counts])
    return f'<figure class="chart">{counts}{picture}{_line("axis", [label for label, _ in bars.counts])}</figure>'


def _line(kind: str, texts: Sequence[str]) -> str:
    spans = "".join(f'<span class="even">{escape(text)}</span>' for text in texts)
    return f'<div class="{kind}" aria-hidden="true">{spans}</div>'
