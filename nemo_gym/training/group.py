"""The groups of a collection: the rollouts of each task that may be trained on, and a count of all others."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import msgspec
import orjson

from nemo_gym.collections.line_file import Line
from nemo_gym.collections.reading.reader import CollectionReader, IndexEntry, StoredRollout
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.wire.token_arrays import take_out_arrays

_MAX_DETAIL_CHARS = 300


class _Response(msgspec.Struct):
    model: Any = None


class _Row(msgspec.Struct):
    response: _Response | None = None


_MODELS = msgspec.json.Decoder(_Row)


class LeftOutError(Exception):
    """A rollout can't be in this export. `reason`: a short name, counted; `detail`: what is wrong with this one."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Rollout:
    """A scored rollout. In a file that no collector wrote, each row is a task of its own."""

    task_index: int
    rollout_index: int
    reward: float
    line: Line

    @cached_property
    def row(self) -> dict[str, Any]:
        """The row, decoded once; long token arrays are left out."""
        row: dict[str, Any] = orjson.loads(take_out_arrays(self.line.text).text)
        return row

    @property
    def model(self) -> str | None:
        """The model that its response names."""
        try:
            response = _MODELS.decode(self.line.text).response
        except msgspec.ValidationError:  # a verifier may put anything there
            return None
        return None if response is None or response.model is None else str(response.model)

    @property
    def place(self) -> str:
        """The rollout as a person is told of it."""
        return f"task {self.task_index}, repeat {self.rollout_index}"


Group = list[Rollout]


@dataclass
class Tally:
    """Every rollout of the file is counted once: it is used, or left out for one reason.

    Attributes:
        read: Rollouts in the file.
        tasks: Tasks with at least one rollout in the file.
        left_out: How many, by reason.
        examples: The first of each reason in words.
        with_tool_results: Completions for DPO or KTO in which the policy didn't write everything.
    """

    read: int = 0
    tasks: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    with_tool_results: int = 0

    def leave_out(self, reason: str, rollout: Rollout | None = None, detail: str = "") -> None:
        """Count a rollout that isn't exported."""
        self.left_out[reason] += 1
        if rollout is not None and reason not in self.examples:
            self.examples[reason] = ": ".join(filter(None, (rollout.place, detail)))[:_MAX_DETAIL_CHARS]

    @property
    def used(self) -> int:
        """Rollouts that are in the export."""
        return self.read - self.left_out.total()


class Groups:
    """The groups of a collection by task, each in the order of its repeats: one at a time is in memory.

    Args:
        reader: With a refreshed index.
        tally: Counts what is left out.
        model: Only rollouts of this model; None: all must be of one.

    Attributes:
        model: The model of the rollouts so far; None before the first, and where they don't name one.
    """

    def __init__(self, reader: CollectionReader, tally: Tally, model: str | None) -> None:
        self._reader = reader
        self._tally = tally
        self._is_chosen = model is not None
        self._first: Rollout | None = None
        self.model = model

    def __iter__(self) -> Iterator[Group]:
        self._tally.read = len(self._reader.index)
        places = 0
        for _, stored in groupby(self._reader.by_task(), key=lambda pair: pair[0].task_index):
            self._tally.tasks += 1
            members = list(stored)
            places += len(members)
            group = [rollout for entry, each in members if (rollout := self._eligible(entry, each)) is not None]
            if group:
                yield group
        # Of a place that was written twice, the last row counts.
        if superseded := self._tally.read - places:
            self._tally.left_out["superseded"] += superseded

    def _eligible(self, entry: IndexEntry, stored: StoredRollout) -> Rollout | None:
        reward = stored.reward if stored.reward is not None else 0.0
        rollout = Rollout(entry.task_index, entry.rollout_index, reward, stored.line)
        # The row itself is asked and not the index, which may be older than the file.
        if stored.outcome != "scored":
            self._tally.leave_out(stored.outcome, rollout, str(stored.failure_kind or ""))
            return None
        return rollout if self._is_of_the_model(rollout) else None

    def _is_of_the_model(self, rollout: Rollout) -> bool:
        model = rollout.model
        if self._is_chosen:
            if model != self.model:
                self._tally.leave_out("other_model", rollout, str(model))
            return model == self.model
        if model is None:
            return True
        if self._first is None:
            self._first, self.model = rollout, model
        if model != self.model:
            here, there = f"'{model}' ({rollout.place})", f"'{self.model}' ({self._first.place})"
            what = f"the rollouts are of more than one model: {there} and {here}"
            raise ConfigError(Mistake(what, where=str(rollout.line.path), fix=f"export those of one: +model={model}"))
        return True
