"""The files of one collection: rollouts, failures, journal, unverified trajectories, manifest, metrics.

`<stem>` is the output path without `.jsonl`. Everything but manifest and metrics is only appended to.
"""

import contextlib
import tempfile
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
        """Rename what holds something, so that a new collection can start; return the new names."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        moved = []
        for path in self.all():
            if path.exists() and path.stat().st_size:
                moved.append(path.rename(_unused(path.with_name(f"{path.stem}.{stamp}{path.suffix}"))))
        return moved

    def _beside(self, name: str) -> Path:
        return self.rollouts.with_name(f"{self.rollouts.stem}_{name}")


class Output:
    """The open files of one collection; one collector at a time."""

    def __init__(self, paths: OutputPaths) -> None:
        self.paths = paths
        with contextlib.ExitStack() as opened:
            try:
                # The rollout file first, and last to be closed: who holds its lock holds them all.
                self._rollouts = opened.enter_context(LineFile(paths.rollouts))
                self._failures = opened.enter_context(LineFile(paths.failures))
                self._journal = opened.enter_context(LineFile(paths.journal))
                self._unverified = opened.enter_context(LineFile(paths.unverified))
            except OutputBusyError as error:
                what, fix = f"another collector writes {error}", "wait for it, stop it, or name another output"
                raise ConfigError(Mistake(what, where="output_jsonl_fpath", fix=fix)) from error
            except OutputError as error:
                raise ConfigError(Mistake(str(error), where="output_jsonl_fpath")) from error
            opened.pop_all()

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

    def unverified(self, attempt: Attempt, verify_request: dict[str, Any]) -> None:
        """Keep what an attempt generated and nobody could verify, so that a resume need not generate it again."""
        self._unverified.append({**_key(attempt), "attempt": attempt.number, "verify_request": verify_request})

    def settle(self, outcome: Outcome) -> None:
        """Write an outcome to where it belongs."""
        if isinstance(outcome, Failed):
            self._failures.append(outcome.record.as_row())
        else:
            self._rollouts.append(outcome.row)

    def move_aside(self) -> list[Path]:
        """Rename the files of the collection that was here, while nobody else can write them; then close them."""
        try:
            return self.paths.move_aside()
        finally:
            self.close()

    def close(self) -> None:
        """Sync and close everything; files beside the rollouts that nothing was written to are removed again.

        Raises:
            OutputError: The disk did not take what was written.
        """
        with contextlib.ExitStack() as closing:
            for file in self._files():
                closing.callback(file.close)
                if file is not self._rollouts:
                    closing.callback(_remove_if_empty, file)
                closing.callback(file.sync)

    def _files(self) -> tuple[LineFile, ...]:
        return (self._rollouts, self._failures, self._journal, self._unverified)


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


def _remove_if_empty(file: LineFile) -> None:
    if file.is_empty:
        file.path.unlink(missing_ok=True)


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


def _key(attempt: Attempt) -> dict[str, int]:
    return {TASK_INDEX_KEY: attempt.task_index, ROLLOUT_INDEX_KEY: attempt.rollout_index}
