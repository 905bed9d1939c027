"""The files of one collection: rollouts, failures, journal, unverified trajectories, manifest, metrics.

`<stem>` is the output path without `.jsonl`. Everything but manifest and metrics is only appended to.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.rollouts.line_file import LineFile, OutputBusyError, OutputError
from nemo_gym.rollouts.outcome import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY, Attempt, Failed, Outcome


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
        """Rename what exists, so that a new collection can start; return the new names."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        moved = []
        for path in self.all():
            if path.exists():
                moved.append(path.rename(path.with_name(f"{path.stem}.{stamp}{path.suffix}")))
        return moved

    def _beside(self, name: str) -> Path:
        return self.rollouts.with_name(f"{self.rollouts.stem}_{name}")


class Output:
    """The open files of one collection; one collector at a time."""

    def __init__(self, paths: OutputPaths) -> None:
        self.paths = paths
        try:
            self._rollouts = LineFile(paths.rollouts)
            self._failures = LineFile(paths.failures)
            self._journal = LineFile(paths.journal)
            self._unverified = LineFile(paths.unverified)
        except OutputBusyError as error:
            fix = "wait for it, stop it, or name another output_jsonl_fpath"
            raise ConfigError(Mistake(f"another collector writes {error}", "output_jsonl_fpath", fix=fix)) from error
        except OutputError as error:
            raise ConfigError(Mistake(str(error), where="output_jsonl_fpath")) from error

    @property
    def torn(self) -> Iterator[Path]:
        """The files whose torn last line was cut off."""
        return (f.path for f in self._files() if f.torn_bytes)

    def dispatched(self, attempt: Attempt) -> None:
        """Note that an attempt begins."""
        self._journal.append({"event": "dispatched", **_key(attempt), "attempt": attempt.number, "at": time.time()})

    def attempt_failed(self, failed: Failed) -> None:
        """Note an attempt that will be followed by another."""
        self._journal.append({"event": "failed", **failed.record.as_row()})

    def settle(self, outcome: Outcome) -> None:
        """Write an outcome to where it belongs."""
        if not isinstance(outcome, Failed):
            self._rollouts.append(outcome.row)
            return
        record = outcome.record
        if outcome.trajectory is not None:
            key = {TASK_INDEX_KEY: record.task_index, ROLLOUT_INDEX_KEY: record.rollout_index}
            self._unverified.append({**key, "attempt": record.attempt, "verify_request": outcome.trajectory})
        self._failures.append(record.as_row())

    def close(self, *, remove_empty: bool = True) -> None:
        """Sync and close everything; files that nothing was written to are removed again."""
        for file in self._files():
            file.sync()
            if remove_empty and file is not self._rollouts and file.path.stat().st_size == 0:
                file.path.unlink()
            file.close()

    def _files(self) -> tuple[LineFile, ...]:
        return (self._rollouts, self._failures, self._journal, self._unverified)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a small JSON file in one step: readers see the old one or the new one."""
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    draft.replace(path)


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
        raise ConfigError(Mistake(f"the folder {folder} can't be written to", where=where, fix="choose another"))


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _key(attempt: Attempt) -> dict[str, int]:
    return {TASK_INDEX_KEY: attempt.task_index, ROLLOUT_INDEX_KEY: attempt.rollout_index}
