"""Plain mappings merged by precedence, remembering which source set each key."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KeyPath = tuple[str | int, ...]
"""Keys and list indices from the top of the configuration down to one value."""

COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Source:
    """One place that sets values.

    Attributes:
        name: What mistakes call it: a path relative to the current folder, or e.g. "command line".
        values: Plain containers, interpolations not resolved.
        folder: Folder of the file, where relative paths are looked for first; None when it isn't a file.
    """

    name: str
    values: dict[str, Any] = field(repr=False)  # may hold secrets
    folder: Path | None = None


@dataclass
class MergedConfig:
    """The values of all sources so far. Mappings merge key by key; anything else, lists too, replaces.

    `origins` says which source set a key; `folders` are those of the files, lowest precedence first.
    """

    values: dict[str, Any] = field(default_factory=dict, repr=False)
    origins: dict[KeyPath, Source] = field(default_factory=dict, repr=False)
    folders: list[Path] = field(default_factory=list)

    def add(self, source: Source) -> None:
        """Merge one more source over what is there."""
        self._merge(self.values, source.values, (), source)
        if source.folder is not None:
            self.folders.append(source.folder)

    def where(self, *path: str | int) -> str:
        """Return "<source>, key <dotted key>", as mistakes show it."""
        origin = self._origin(path)
        return f"{origin.name}, key {dotted(path)}" if origin else f"key {dotted(path)}"

    def folder_of(self, *path: str | int) -> Path | None:
        """Return the folder of the file that defines this key, or None when it comes from elsewhere."""
        origin = self._origin(path)
        return origin.folder if origin else None

    def _origin(self, path: KeyPath) -> Source | None:
        """The source that last set this key (for a mapping: that first wrote it), or the nearest above it."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path)

    def _merge(self, target: dict[str, Any], values: dict[str, Any], above: KeyPath, source: Source) -> None:
        for key, value in values.items():
            path = (*above, key)
            if not isinstance(value, dict):
                target[key] = copy.deepcopy(value)
                self.origins[path] = source
                continue
            if not isinstance(target.get(key), dict):
                target[key] = {}
                self.origins[path] = source
            self._merge(target[key], value, path, source)


def merge(sources: list[Source]) -> MergedConfig:
    """Merge sources, lowest precedence first."""
    merged = MergedConfig()
    for source in sources:
        merged.add(source)
    return merged


def dotted(path: KeyPath) -> str:
    """Return `('a', 'b', 0, 'c')` as "a.b[0].c"."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")
