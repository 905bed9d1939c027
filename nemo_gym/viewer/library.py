"""The collections below a folder, or one rollout file: found, followed while somebody looks, shown as cards."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from nemo_gym.collections.files import OutputPaths
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.identity import Identity, identity_of
from nemo_gym.viewer.collection.table import OUTCOMES, SCORED
from nemo_gym.viewer.pages.notes import Notes

_MAX_DEPTH = 5
_MAX_FOLDERS = 2_000
_MAX_FOLLOWED = 16
_WATCHED_S = 30.0
_FIRST_READ_S = 0.4
_CARDS_S = 1.5
_MAX_FIRST_LINE = 8 * 2**20
_BESIDE = ("_failures", "_journal", "_unverified", "_materialized_inputs", "_notes")
_MANIFEST = "_manifest.json"


Stamp = tuple[tuple[int, int, int], ...]
"""Inode, size and time of change of the files that a card is made from."""


class UnknownCollectionError(KeyError):
    """No collection has this name."""


class Card(BaseModel):
    """A collection as the first page shows it. `progress`: how much of it has been read, in [0, 1]."""

    name: str
    identity: Identity | None = None
    counts: dict[str, int] = {}
    mean_reward: float | None = None
    progress: float = 0.0


class Shelf(BaseModel):
    """The first page. `is_folder`: the viewer was given a folder, not a file."""

    folder: str
    is_folder: bool
    cards: list[Card]


class Library:
    """Collections by name: their path below the folder.

    Args:
        path: A folder, or a rollout file, which may not be there yet.
        keeps_index: Keep the tables of large collections in hidden files beside them.
    """

    def __init__(self, path: Path, *, keeps_index: bool = True) -> None:
        path = path.absolute()
        self.folder = path if path.is_dir() else path.parent
        self._only = None if path.is_dir() else path.name
        self._keeps_index = keeps_index
        self._followers: OrderedDict[str, Follower] = OrderedDict()
        self._asked_at: dict[str, float] = {}
        self._notes: dict[str, Notes] = {}
        self._cards: dict[str, tuple[Stamp, Card]] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the names of the collections there are, sorted."""
        if self._only is not None:
            return [self._only]
        return sorted(path.relative_to(self.folder).as_posix() for path in _collections_in(self.folder))

    def follower(self, name: str) -> Follower:
        """Return the follower of a collection, with what can be read of it at once.

        Raises:
            UnknownCollectionError: There is no such collection.
        """
        with self._lock:
            follower = self._followers.get(name)
        if follower is None:
            if name not in self.names():  # also keeps out every path that leads elsewhere
                raise UnknownCollectionError(name)
            follower = self._add(name)
        self.note_interest(name)
        deadline = time.monotonic() + _FIRST_READ_S
        while follower.refresh() and time.monotonic() < deadline:
            pass
        return follower

    def opened(self, name: str) -> Follower:
        """Return a follower that was opened before, without reading; raises UnknownCollectionError."""
        with self._lock:
            if name not in self._followers:
                raise UnknownCollectionError(name)
            return self._followers[name]

    def note_interest(self, name: str) -> None:
        """Keep a collection fresh for the next 30 s."""
        self._asked_at[name] = time.monotonic()

    def notes(self, name: str) -> Notes:
        """Return the notes of a collection."""
        follower = self.follower(name)
        return self._notes.setdefault(name, Notes(follower.paths.rollouts))

    def refresh_watched(self) -> bool:
        """Read on in the collections that somebody looks at; return whether there is more to read at once."""
        now = time.monotonic()
        with self._lock:
            watched = [f for name, f in self._followers.items() if now - self._asked_at.get(name, 0) < _WATCHED_S]
        more = False
        for follower in watched:
            more = follower.refresh() or more
        return more

    def shelf(self) -> Shelf:
        """Return a card for each collection. Those that there is no time to read now have `progress` 0; ask again."""
        deadline = time.monotonic() + _CARDS_S
        cards = [self._known_card(name, deadline) for name in self.names()]
        return Shelf(folder=str(self.folder), is_folder=self._only is None, cards=cards)

    def _known_card(self, name: str, deadline: float) -> Card:
        stamp = _stamp(OutputPaths(self.folder / name))
        known = self._cards.get(name)
        if known is not None and known[0] == stamp:
            return known[1]
        if time.monotonic() > deadline:
            return known[1] if known is not None else Card(name=name)
        card = self._card(name)
        if card.progress == 1.0 and card.identity is not None and card.identity.state != "running":
            self._cards[name] = (stamp, card)
        return card

    def _card(self, name: str) -> Card:
        follower = self.follower(name)
        table = follower.table
        outcomes = [table.outcomes[number] for number in table.current()]
        rewards = [table.rewards[number] for number in table.current() if table.outcomes[number] == SCORED]
        return Card(
            name=name,
            identity=identity_of(follower).model_copy(update={"settings": {}}),
            counts={outcome: outcomes.count(number) for number, outcome in enumerate(OUTCOMES)},
            mean_reward=sum(rewards) / len(rewards) if rewards else None,
            progress=follower.progress,
        )

    def _add(self, name: str) -> Follower:
        with self._lock:
            follower = self._followers.setdefault(name, Follower(self.folder / name, keeps_index=self._keeps_index))
            self._followers.move_to_end(name)
            old = list(self._followers)[: max(0, len(self._followers) - _MAX_FOLLOWED)]
            for other in old:
                if self._followers[other].look.is_caught_up:  # else what was read of it would be lost
                    del self._followers[other]
            return follower


def _stamp(paths: OutputPaths) -> Stamp:
    found = []
    for path in (paths.rollouts, paths.failures, paths.manifest):
        try:
            status = path.stat()
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)


def _collections_in(folder: Path) -> Iterator[Path]:
    for number, (parent, folders, files) in enumerate(os.walk(folder)):
        here = Path(parent)
        depth = len(here.relative_to(folder).parts)
        # Hidden folders hold other things: environments, caches, repositories.
        folders[:] = [] if depth >= _MAX_DEPTH else sorted(name for name in folders if not name.startswith("."))
        if number >= _MAX_FOLDERS:
            return
        names = set(files)
        for name in sorted(names):
            stem = name.removesuffix(".jsonl")
            if name.endswith(_MANIFEST):
                rollouts = f"{name.removesuffix(_MANIFEST)}.jsonl"
                if rollouts not in names:  # begun, and nothing is settled yet
                    yield here / rollouts
            elif stem != name and (f"{stem}{_MANIFEST}" in names or _is_rollout_file(here / name, stem)):
                yield here / name


def _is_rollout_file(path: Path, stem: str) -> bool:
    """Tell whether a file without a manifest holds rollouts."""
    if stem.endswith(_BESIDE) or not stem:
        return False
    try:
        with path.open("rb") as file:
            first = file.readline(_MAX_FIRST_LINE)
    except OSError:
        return False
    return first.startswith(b"{") and b'"reward"' in first and b'"response"' in first
