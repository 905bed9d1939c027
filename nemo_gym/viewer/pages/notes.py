"""The reader's tags and notes, in a file of their own beside the collection: `<stem>_notes.jsonl`."""

import threading
import time
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from nemo_gym.collections.line_file import LineFile, OutputBusyError, OutputError, iter_lines

TAGS = ("good", "bad", "verifier wrong")
"""Tags that are offered; others may be made up."""


class Note(BaseModel):
    """A line of the file; the last one of a rollout counts.

    Attributes:
        rollout: `task-repeat`.
        collection: When the collection began (seconds since the epoch): notes of one that was overwritten don't count.
        at: When the note was made, likewise.
    """

    rollout: str = Field(pattern=r"^\d{1,10}-\d{1,10}$")
    tags: list[str] = Field(default=[], max_length=20)
    note: str = Field(default="", max_length=20_000)
    collection: float | None = None
    at: float = 0.0


class Notes:
    """Notes of one collection. Any thread may call it."""

    def __init__(self, rollouts: Path) -> None:
        self.path = rollouts.with_name(f"{rollouts.stem}_notes.jsonl")
        self.version = 0
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._by_rollout: dict[str, Note] = {}
        self._collection: float | None = None

    def by_rollout(self, collection: float | None) -> dict[str, Note]:
        """Return the notes of the collection that began then, by rollout; without those that were taken back."""
        with self._lock:
            stamp = self._now()
            if stamp != self._stamp or collection != self._collection:
                self._read(collection)
                self._stamp, self._collection = stamp, collection
                self.version += 1
            return self._by_rollout

    def tags(self, collection: float | None) -> dict[str, frozenset[str]]:
        """Return the tags by rollout."""
        return {key: frozenset(note.tags) for key, note in self.by_rollout(collection).items()}

    def add(self, note: Note) -> None:
        """Append a note; raises OutputError when it can't be written."""
        note.at = time.time()
        with self._lock:
            try:
                with LineFile(self.path) as file:
                    file.append(note.model_dump())
            except OutputBusyError as error:
                raise OutputError(f"cannot write {self.path}: another viewer is writing it; try again") from error

    def _now(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    def _read(self, collection: float | None) -> None:
        found: dict[str, Note] = {}
        for line in iter_lines(self.path):
            try:
                note = Note.model_validate_json(line.text)
            except ValidationError:  # somebody's own line
                continue
            if note.collection == collection:
                found[note.rollout] = note
        self._by_rollout = {key: note for key, note in found.items() if note.tags or note.note}
