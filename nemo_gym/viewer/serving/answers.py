"""The data of every page, by the arguments that a link has; the same for the server and for an exported file."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from nemo_gym.collections.line_file import DamagedFileError, decoded
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.row import Row
from nemo_gym.viewer.collection.table import FAILED, MASKED
from nemo_gym.viewer.library import Library
from nemo_gym.viewer.pages.compare import Comparison, compare
from nemo_gym.viewer.pages.listing import RolloutList, rollout_list
from nemo_gym.viewer.pages.notes import TAGS, Note
from nemo_gym.viewer.pages.overview import Overview, overview_of
from nemo_gym.viewer.pages.selection import Selection
from nemo_gym.viewer.pages.task import TaskPage, TaskTable, task_page, task_table
from nemo_gym.viewer.rollout.conversation import Item, items_of, whole_text
from nemo_gym.viewer.rollout.copies import Copies, copies_of
from nemo_gym.viewer.rollout.page import PAGE_ITEMS, RolloutPage, content_of, rollout_page
from nemo_gym.viewer.rollout.tokenizer import Tokenizer
from nemo_gym.viewer.rollout.tokens import TokenCall, token_calls
from nemo_gym.viewer.serving.selections import Selections


class NotFoundError(KeyError):
    """There is no such rollout, task or text."""


class Neighbors(BaseModel):
    """The rollouts beside one, in the order of a filter. `position` is counted from 0; None: it isn't selected."""

    position: int | None
    total: int
    before: str | None
    after: str | None
    next_failure: str | None


class NotesOf(BaseModel):
    """The reader's notes. `tags`: those that are offered."""

    tags: list[str]
    notes: dict[str, Note]


@dataclass(frozen=True)
class Filter:
    """A filter and an order, as links have them."""

    query: str = ""
    sort: str = ""
    descending: bool = False


class Answers:
    """Every method raises UnknownCollectionError, QueryError or NotFoundError for what isn't there."""

    def __init__(self, library: Library, tokenizer: Tokenizer | None = None) -> None:
        self.library = library
        self._tokenizer = tokenizer
        self._selections = Selections(library)
        self._overviews: dict[str, tuple[Follower, Overview]] = {}
        self._comparisons: dict[tuple[str, str], tuple[object, Comparison]] = {}

    def overview(self, name: str) -> Overview:
        """The overview of a collection; the last one as long as nothing has changed."""
        follower = self.library.follower(name)
        known = self._overviews.get(name)
        if known is None or known[0] is not follower or known[1].version != follower.version:
            known = self._overviews[name] = (follower, overview_of(follower))
        return known[1]

    def rollouts(self, name: str, which: Filter, offset: int, limit: int) -> RolloutList:
        """A page of the rollouts that a filter admits."""
        selection = self._select(name, which)
        return rollout_list(
            self.library.follower(name), selection.numbers, offset, limit, is_partial=selection.is_partial
        )

    def tasks(self, name: str, which: Filter, offset: int, limit: int) -> TaskTable:
        """A page of the tasks whose rollouts a filter admits."""
        numbers = self._selections.get(name, which.query).numbers
        follower = self.library.follower(name)
        return task_table(follower, numbers, which.sort, offset, limit, descending=which.descending)

    def task(self, name: str, task: int) -> TaskPage:
        """A task and its group."""
        page = task_page(self.library.follower(name), task)
        if page is None:
            raise NotFoundError(f"there is no task {task}")
        return page

    def rollout(self, name: str, key: str) -> RolloutPage:
        """One rollout."""
        return rollout_page(*self._row(name, key))

    def items(self, name: str, key: str, offset: int) -> list[Item]:
        """The items of a rollout from `offset` on, 200 at most."""
        return items_of(self._content(name, key), offset, PAGE_ITEMS)[0]

    def text(self, name: str, key: str, item: int, part: int) -> str:
        """A text in full."""
        text = whole_text(self._content(name, key), item, part)
        if text is None:
            raise NotFoundError(f"rollout {key} has no such text")
        return text

    def tokens(self, name: str, key: str, call: int | None, offset: int) -> list[TokenCall]:
        """The model calls with token data."""
        return token_calls(self._content(name, key), self._tokenizer, offset=offset, only_call=call)

    def raw(self, name: str, key: str) -> bytes:
        """The line as it is in the file."""
        follower, row = self._row(name, key)
        return follower.line(row).text

    def copies(self, name: str, key: str) -> Copies:
        """The rollout as something to paste."""
        return copies_of(*self._row(name, key))

    def neighbors(self, name: str, key: str, which: Filter) -> Neighbors:
        """What is before and after a rollout."""
        follower, row = self._row(name, key)
        numbers, table = self._select(name, which).numbers, follower.table
        position = numbers.index(row.number) if row.number in numbers else None
        place = -1 if position is None else position
        later = (n for n in numbers[place + 1 :] if table.outcomes[n] in (FAILED, MASKED))
        failure = next(later, None)
        return Neighbors(
            position=position,
            total=len(numbers),
            before=table[numbers[place - 1]].key if place > 0 else None,
            after=table[numbers[place + 1]].key if place + 1 < len(numbers) else None,
            next_failure=None if failure is None else table[failure].key,
        )

    def comparison(self, a: str, b: str) -> Comparison:
        """B against A; the last one as long as nothing has changed: its interval takes seconds for many tasks."""
        first, second = self.library.follower(a), self.library.follower(b)
        state = (first, first.version, second, second.version)
        known = self._comparisons.get((a, b))
        if known is None or known[0] != state:
            known = self._comparisons[a, b] = (state, compare(first, second))
        return known[1]

    def notes(self, name: str) -> NotesOf:
        """The reader's notes of a collection."""
        return NotesOf(tags=list(TAGS), notes=self.library.notes(name).by_rollout(self._began(name)))

    def add_note(self, name: str, note: Note) -> NotesOf:
        """Write a note; raises OutputError."""
        self._row(name, note.rollout)
        self.library.notes(name).add(note.model_copy(update={"collection": self._began(name)}))
        return self.notes(name)

    def _began(self, name: str) -> float | None:
        manifest = self.library.follower(name).manifest
        return manifest.started_at if manifest else None

    def _select(self, name: str, which: Filter) -> Selection:
        return self._selections.get(name, which.query, which.sort, descending=which.descending)

    def _row(self, name: str, key: str) -> tuple[Follower, Row]:
        follower = self.library.follower(name)
        task, _, repeat = key.partition("-")
        if task.isdecimal() and repeat.isdecimal() and len(key) <= 21:
            number = follower.table.find(int(task), int(repeat))
            if number is not None:
                return follower, follower.table[number]
        raise NotFoundError(f"there is no rollout {key[:40]}")

    def _content(self, name: str, key: str) -> dict[str, Any]:
        follower, row = self._row(name, key)
        try:
            return decoded(follower.line(row)) if row.outcome != "failed" else content_of(follower, row)[0]
        except (OSError, DamagedFileError) as error:
            raise NotFoundError(str(error)) from error
