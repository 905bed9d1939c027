"""Bounds on the size of a configuration, checked before anything walks through it."""

from dataclasses import dataclass, field
from typing import Any

import yaml

from nemo_gym.config.errors import Mistake

MAX_DEPTH = 64
MAX_VALUES = 1_000_000

TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"
TOO_LARGE = f"expands to more than {MAX_VALUES:,} values"
CIRCULAR = "contains an alias (*name) inside the value it stands for"
_FIXES = {
    TOO_DEEP: "check brackets and indentation, or use fewer levels",
    TOO_LARGE: "use fewer aliases (*name), or values instead of aliases to aliases",
    CIRCULAR: "write the value out instead of the alias",
}


def size_mistake(problem: str, source: str, where: str | None = None) -> Mistake:
    """Return the mistake for one of the three problems above."""
    return Mistake(f"{source} {problem}", where or source, fix=_FIXES[problem])


def problem_of_values(values: Any) -> str | None:
    """Return what is wrong with the size of plain containers, or None. A value that contains itself is too deep."""
    level, count = [values], 0
    for _ in range(MAX_DEPTH + 1):
        containers = [item for item in level if isinstance(item, dict | list | tuple)]
        if not containers:
            return None
        level = [child for item in containers for child in (item.values() if isinstance(item, dict) else item)]
        count += len(level)
        if count > MAX_VALUES:
            return TOO_LARGE
    return TOO_DEEP


@dataclass
class _Node:
    anchor: str | None
    count: int = 1
    height: int = 0

    def add(self, child: "_Node") -> None:
        self.count += child.count
        self.height = max(self.height, child.height + 1)


@dataclass
class TextSize:
    """Depth and number of values of a YAML text, aliases expanded, from its events alone.

    Nothing is built and nothing recurses: a loader written in C ends the process on text that is nested too deeply, and
    a few lines of aliases to aliases stand for more values than fit into memory.
    """

    _open: list[_Node] = field(default_factory=list)
    _anchors: dict[str, _Node] = field(default_factory=dict)
    _total: int = 0

    def problem_at(self, event: yaml.Event) -> str | None:
        """Take one event; return what is wrong with the text up to here, or None."""
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append(_Node(event.anchor))
            return TOO_DEEP if len(self._open) > MAX_DEPTH else None
        if isinstance(event, yaml.CollectionEndEvent):
            self._close(self._open.pop())
        elif isinstance(event, yaml.AliasEvent):
            if any(node.anchor == event.anchor for node in self._open):
                return CIRCULAR
            self._close(self._anchors.get(event.anchor or "", _Node(None)), is_alias=True)
        elif isinstance(event, yaml.ScalarEvent):
            self._close(_Node(event.anchor))
        return self._problem()

    def _close(self, node: _Node, *, is_alias: bool = False) -> None:
        if node.anchor is not None:
            self._anchors[node.anchor] = node
        if is_alias or node.height == 0:
            self._total += node.count
        if self._open:
            self._open[-1].add(node)

    def _problem(self) -> str | None:
        if self._open and len(self._open) + self._open[-1].height > MAX_DEPTH:
            return TOO_DEEP
        return TOO_LARGE if self._total > MAX_VALUES else None
