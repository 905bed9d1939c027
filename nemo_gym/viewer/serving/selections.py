"""The last filters and what they selected, so that turning a page doesn't filter again."""

import threading
from collections import OrderedDict

from nemo_gym.viewer.library import Library
from nemo_gym.viewer.pages.query import parse_query
from nemo_gym.viewer.pages.selection import Selection, select

_KEPT = 12


class Selections:
    """Any thread may call it."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._kept: OrderedDict[tuple[object, ...], Selection] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str, query: str, sort: str = "", *, descending: bool = False) -> Selection:
        """Return what a filter selects now; raises QueryError and UnknownCollectionError."""
        follower, notes = self._library.follower(name), self._library.notes(name)
        manifest = follower.manifest
        tags = notes.tags(manifest.started_at if manifest else None)
        key = (name, id(follower), len(follower.table), follower.version, notes.version, query, sort, descending)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        selection = select(follower, parse_query(query), tags, sort, descending=descending)
        with self._lock:
            self._kept[key] = selection
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return selection
