"""What a scene found: ratios, figures, notes; printed and written as JSON."""

import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import psutil
from rich.console import Console
from rich.table import Table

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Comparison:
    """Ours and a baseline, measured alternately: `ours[i]` belongs to `base[i]`."""

    label: str
    unit: str
    ours: tuple[float, ...]
    base: tuple[float, ...]
    base_name: str
    better: Better

    @property
    def ratios(self) -> list[float]:
        """Ours divided by the baseline, pair by pair; a baseline of 0 gives NaN."""
        return [o / b if b else float("nan") for o, b in zip(self.ours, self.base, strict=True)]


@dataclass(frozen=True)
class Figure:
    """Ours alone, where there is nothing to compare with."""

    label: str
    unit: str
    values: tuple[float, ...]


@dataclass
class Report:
    """Result of one scene. `refused` holds the words of `ng_run` when it would not start in this mode."""

    scene: str
    title: str
    comparisons: list[Comparison] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: str | None = None
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])
    began_at: float = field(default_factory=time.time)

    def compare(
        self, label: str, unit: str, ours: Sequence[float], base: Sequence[float], base_name: str, better: Better
    ) -> None:
        """Add a comparison."""
        self.comparisons.append(Comparison(label, unit, tuple(ours), tuple(base), base_name, better))

    def add(self, label: str, unit: str, values: Sequence[float]) -> None:
        """Add a figure of ours."""
        self.figures.append(Figure(label, unit, tuple(values)))

    def note(self, text: str) -> None:
        """Add a sentence, once."""
        if text not in self.notes:
            self.notes.append(text)

    def write(self, folder: Path) -> Path:
        """Write `<folder>/<scene>.json` and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.scene}.json"
        machine = {"cores": psutil.cpu_count(), "load_before": self.load_before, "load_after": os.getloadavg()[0]}
        ratios = [{"label": c.label, "base": c.base_name, **_summary(c.ratios)} for c in self.comparisons]
        path.write_text(json.dumps({**asdict(self), "ratios": ratios, "machine": machine}, indent=1) + "\n")
        return path

    def show(self) -> None:
        """Print the report for a person."""
        console = Console(width=160, soft_wrap=True, highlight=False)
        console.print(f"\n[bold]{self.scene}[/bold]: {self.title}")
        if self.refused:
            console.print(f"refused by ng_run: {self.refused}", markup=False)
        if self.comparisons:
            console.print(_comparison_table(self.comparisons))
        if self.figures:
            console.print(_figure_table(self.figures))
        for text in self.notes:
            console.print(f"note: {text}", markup=False)


def _comparison_table(comparisons: Sequence[Comparison]) -> Table:
    names = ["", "ours", "base", "unit", "ours / base", "min", "max", "pairs", "better"]
    table = Table(*names, box=None, header_style="bold", pad_edge=False)
    for c in comparisons:
        ratio = _summary(c.ratios)
        cells = [_short(statistics.median(c.ours)), f"{_short(statistics.median(c.base))} {c.base_name}", c.unit]
        cells += [f"{ratio[key]:.2f}" for key in ("median", "min", "max")]
        table.add_row(c.label, *cells, str(len(c.ours)), c.better)
    return table


def _figure_table(figures: Sequence[Figure]) -> Table:
    table = Table("ours alone", "median", "min", "max", "unit", "runs", box=None, header_style="bold", pad_edge=False)
    for f in figures:
        cells = [_short(value) for value in _summary(f.values).values()]
        table.add_row(f.label, *cells, f.unit, str(len(f.values)))
    return table


def _summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"
