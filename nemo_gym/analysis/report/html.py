"""A report as one HTML page that needs nothing else: no scripts, no fonts, no network."""

from html import escape

from nemo_gym.analysis.report.report import Bars, Report, Table

_BAR_WIDTH, _BAR_HEIGHT, _LABEL_WIDTH, _COUNT_WIDTH = 420, 20, 110, 80
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.8rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; font: 13px system-ui, sans-serif; }
svg rect { fill: #4a7ebb; }
svg text { fill: currentColor; }
"""


def html(report: Report) -> str:
    """Return a report as a page."""
    facts = Table("", (), report.facts)
    parts = [f"<h1>{escape(report.title)}</h1>", _table(facts)]
    parts += [f"<p>{escape(note)}</p>" for note in report.notes]
    for bars in report.bars:
        parts += [f"<h2>{escape(bars.heading)}</h2>", _svg(bars)]
    for table in report.tables:
        parts += [f"<h2>{escape(table.heading)}</h2>", _table(table)]
    # The policy says that a browser would run nothing, whatever a name in the data holds.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(report.title)}</title>'
        f"<style>{_STYLE}</style>"
    )
    body = "\n".join(parts)
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{body}\n</body>\n</html>\n'


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in table.rows)
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}\n<tbody>\n{body}\n</tbody></table>"


def _svg(bars: Bars) -> str:
    most = max((count for _, count in bars.counts), default=0) or 1
    width, height = _LABEL_WIDTH + _BAR_WIDTH + _COUNT_WIDTH, _BAR_HEIGHT * len(bars.counts)
    lines = [f'<svg role="img" aria-label="{escape(bars.heading)}" viewBox="0 0 {width} {height}" width="{width}">']
    for at, (label, count) in enumerate(bars.counts):
        y, length = at * _BAR_HEIGHT, round(_BAR_WIDTH * count / most, 1)
        lines += [
            f'<text x="{_LABEL_WIDTH - 8}" y="{y + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LABEL_WIDTH}" y="{y + 3}" width="{length}" height="{_BAR_HEIGHT - 6}"/>',
            f'<text x="{_LABEL_WIDTH + length + 6}" y="{y + 15}">{count:,}</text>',
        ]
    return "\n".join([*lines, "</svg>"])
