"""The files of one collection, and what may be written where. `<stem>` is the output path without `.jsonl`."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from nemo_gym.collections.line_file import OutputError
from nemo_gym.config.errors import ConfigError, Mistake


@dataclass(frozen=True)
class OutputPaths:
    """Where everything of one collection is written."""

    rollouts: Path

    @property
    def failures(self) -> Path:
        """One record for each failed rollout."""
        return self._beside("failures.jsonl")

    @property
    def journal(self) -> Path:
        """Dispatches and attempts that failed: tells a rollout that was cut off from one that never began."""
        return self._beside("journal.jsonl")

    @property
    def unverified(self) -> Path:
        """Trajectories whose verification failed."""
        return self._beside("unverified.jsonl")

    @property
    def manifest(self) -> Path:
        """What this collection is: tasks, settings, versions."""
        return self._beside("manifest.json")

    @property
    def metrics(self) -> Path:
        """Counts and means."""
        return self._beside("metrics.json")

    def all(self) -> tuple[Path, ...]:
        """Every path."""
        return (self.rollouts, self.failures, self.journal, self.unverified, self.manifest, self.metrics)

    def move_aside(self) -> list[Path]:
        """Rename what holds something, so that a new collection can start; return the new names."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        moved = []
        for path in self.all():
            if path.exists() and path.stat().st_size:
                moved.append(path.rename(_unused(path.with_name(f"{path.stem}.{stamp}{path.suffix}"))))
        return moved

    def _beside(self, name: str) -> Path:
        return self.rollouts.with_name(f"{self.rollouts.stem}_{name}")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a small JSON file in one step: readers see the old one or the new one. Raises OutputError."""
    draft = path.with_name(path.name + ".new")
    try:
        draft.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def make_folder(folder: Path) -> None:
    """Make the folder of an output; raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error


def check_output_path(path: Path) -> None:
    """Raise ConfigError for an output that can't be written; writes nothing."""
    where = "output_jsonl_fpath"
    if path.is_dir():
        raise ConfigError(Mistake(f"{path} is a folder", where=where, fix="name a file"))
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise ConfigError(Mistake(f"{folder} is a file, so {path} can't be written", where=where))
    if not _is_writable(folder):
        what = f"{path} can't be written: nothing can be made in the folder {folder}"
        raise ConfigError(Mistake(what, where=where, fix="choose another"))


def _unused(path: Path) -> Path:
    candidates = (path, *(path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(2, 1_000)))
    return next(candidate for candidate in candidates if not candidate.exists())


def _is_writable(folder: Path) -> bool:
    # Tried, not asked: permissions say nothing of a read-only or a special file system.
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
