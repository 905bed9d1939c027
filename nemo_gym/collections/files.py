"""The files of one collection, and what may be written where. `<stem>` is the output path without `.jsonl`."""

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from nemo_gym.collections.line_file import OutputError
from nemo_gym.config.errors import ConfigError, Mistake

_MAX_NAME_BYTES = 255
_ASIDE_CHARS = len(".20260101-000000-999")


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
    def materialized_inputs(self) -> Path:
        """Each row as it was sent to its agent."""
        return self._beside("materialized_inputs.jsonl")

    @property
    def manifest(self) -> Path:
        """What this collection is: tasks, settings, versions."""
        return self._beside("manifest.json")

    @property
    def metrics(self) -> Path:
        """Counts and means."""
        return self._beside("metrics.json")

    @property
    def index(self) -> Path:
        """What a reader keeps of a large rollout file, to open it quickly the next time; safe to delete."""
        return self.rollouts.with_name(f".{self.rollouts.stem}_index.bin")

    def all(self) -> tuple[Path, ...]:
        """Every path but the index, which is a reader's."""
        lines = (self.rollouts, self.failures, self.journal, self.unverified, self.materialized_inputs)
        return (*lines, self.manifest, self.metrics)

    def move_aside(self) -> list[Path]:
        """Rename the files that aren't empty, so that a new collection can start; return the new names."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        moved = []
        for path in self.all():
            if holds_something(path):
                moved.append(path.rename(_unused(path.with_name(f"{path.stem}.{stamp}{path.suffix}"))))
        return moved

    def _beside(self, name: str) -> Path:
        return self.rollouts.with_name(f"{self.rollouts.stem}_{name}")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file in one step and make it survive a power cut; raises OutputError.

    Readers see the old file or the new one.
    """
    draft = path.with_name(path.name + ".new")
    try:
        with draft.open("wb") as file:
            file.write(json_text(content).encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def json_text(content: dict[str, Any]) -> str:
    """Return a JSON file's text: a line for each entry of the two outer objects, and long lists on one line."""
    return _laid_out(content) + "\n"


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut; raises OSError."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Make the folder of an output; raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error


def holds_something(path: Path) -> bool:
    """Tell whether a file is there and isn't empty."""
    return path.exists() and path.stat().st_size > 0


def what_it_is(path: Path) -> str:
    """Return "a regular file", "a folder", "a FIFO" and so on; "missing" when nothing is there; raises OSError."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    kinds = {
        stat.S_IFREG: "a regular file",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")


def check_output_path(path: Path, input_path: Path | None = None) -> None:
    """Raise ConfigError for an output that can't be written, or is the input; writes nothing.

    Files are compared by what they are and not by name: a link to the input is the input.
    """
    mistakes = list(_path_mistakes(OutputPaths(path), input_path))
    if mistakes:
        raise ConfigError(mistakes[0])


def _path_mistakes(paths: OutputPaths, input_path: Path | None) -> Iterator[Mistake]:
    where, path = "output_jsonl_fpath", paths.rollouts
    longest = max(len(os.fsencode(each.name)) for each in paths.all()) + _ASIDE_CHARS
    if longest > _MAX_NAME_BYTES:
        what = f"the file name {path.name[:40]}… is too long: the files beside it have longer names still"
        yield Mistake(what, where=where, fix=f"use a name that is {longest - _MAX_NAME_BYTES} bytes shorter")
        return
    try:
        kinds = {each: what_it_is(each) for each in paths.all()}
    except OSError as error:
        yield Mistake(f"cannot look at {path}: {error.strerror}", where=where, fix="name another file")
        return
    for each, kind in kinds.items():
        if kind not in ("a regular file", "missing"):
            yield Mistake(f"{each} is {kind}, not a regular file", where=where, fix="name another file")
        elif kind != "missing" and input_path is not None and _is_same(each, input_path):
            what = f"{each} is the input file {input_path}: it would be overwritten"
            yield Mistake(what, where=where, fix="name another output file")
    yield from _shared_files([each for each, kind in kinds.items() if kind != "missing"])
    yield from _folder_mistakes(path)


def _shared_files(present: list[Path]) -> Iterator[Mistake]:
    by_identity: dict[tuple[int, int], Path] = {}
    for path in present:
        status = path.stat()
        other = by_identity.setdefault((status.st_dev, status.st_ino), path)
        if other != path:
            fix = "remove the link, or name another output file"
            yield Mistake(f"{path} and {other} are the same file", where="output_jsonl_fpath", fix=fix)


def _folder_mistakes(path: Path) -> Iterator[Mistake]:
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        yield Mistake(f"{folder} is a file, so {path} can't be written", where="output_jsonl_fpath")
    elif not _is_writable(folder):
        what = f"{path} can't be written: nothing can be created in the folder {folder}"
        yield Mistake(what, where="output_jsonl_fpath", fix="choose another")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # the input is missing, which is reported elsewhere
        return False


def _laid_out(value: Any, depth: int = 0) -> str:
    if depth < 2 and isinstance(value, dict) and value:
        pad = "  " * (depth + 1)
        entries = (f"{pad}{orjson.dumps(key).decode()}: {_laid_out(item, depth + 1)}" for key, item in value.items())
        return "{\n" + ",\n".join(entries) + "\n" + "  " * depth + "}"
    return orjson.dumps(value).decode()


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
