"""Token usage over several model calls."""

from typing import Any

Usage = dict[str, Any]


def add_usage(total: Usage | None, more: Usage | None) -> Usage | None:
    """Return the sum of two usages, count by count; None counts as nothing."""
    if not total or not more:
        return total or more
    return {name: _sum(total.get(name), more.get(name)) for name in {**total, **more}}


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return add_usage(one, other)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one + other
    return one if other is None else other
