"""The rollouts of a collection as columns of numbers: what can be filtered and sorted without reading a line again."""

import math
from array import array
from collections.abc import Container, Iterator
from typing import Any, get_args

from nemo_gym.collections.line_file import DamagedFileError, Line, decoded_as
from nemo_gym.collections.metrics.measures import measure
from nemo_gym.collections.reading.index import HEADS
from nemo_gym.collections.reading.paged_array import ByRollout
from nemo_gym.collections.reading.reader import validated
from nemo_gym.collections.reading.repeated_rows import RepeatedRows
from nemo_gym.collections.records import FailureRecord
from nemo_gym.viewer.collection.row import Place, Row, link_key
from nemo_gym.wire.failure import Stage

OUTCOMES = ("scored", "masked", "no_reward", "failed")
SCORED, MASKED, NO_REWARD, FAILED = range(4)

STAGES: tuple[str, ...] = ("", *get_args(Stage))
"""Where a rollout failed; "" for one that didn't."""

COUNTS = ("steps", "tool_calls", "tool_errors", "input_tokens", "output_tokens")
"""What is counted in every rollout; 0 where the row doesn't tell it."""

_MAX_NUMBERS = 24
_MAX_KINDS = 1_000
_MAX_COUNT = 2**32 - 1
_PLACES = 2**32


class RolloutTable:
    """Verified rollouts and failures, in the order in which they were read; about 75 bytes a row.

    Args:
        sent: Names of the fields of task rows: those aren't results.

    Attributes:
        rows: Which rows of the task file are one task. Both may be set until the first row is added.

    A later row of the same task and repeat replaces an earlier one: a failure that a resume has made good, say.
    """

    def __init__(self, sent: Container[str] = ()) -> None:
        self.sent = sent
        self.rows = RepeatedRows(None)
        self.keys, self.offsets, self.lengths = array("Q"), array("Q"), array("Q")
        self.rewards = array("d")
        self.outcomes, self.truncated, self.stages = array("B"), array("B"), array("B")
        self.kinds = array("H")
        self.seconds = array("f")
        self.kind_names: list[str] = [""]
        self.counts = {name: array("I") for name in COUNTS}
        self.numbers: dict[str, array[float]] = {}
        self.damaged: list[str] = []
        self.num_damaged = 0
        self._kind_numbers = {"": 0}
        self._latest = ByRollout("I")
        self._num_replaced = 0

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def num_settled(self) -> int:
        """Rollouts with an outcome."""
        return len(self.keys) - self._num_replaced

    def add_rollout(self, line: Line) -> None:
        """Take in a line of the rollout file."""
        try:
            head = decoded_as(HEADS, line)
            measures = measure(line.text, self.sent)
        except (DamagedFileError, ValueError, RecursionError) as error:
            self._note_damage(str(error))
            return
        task = len(self.keys) if head.task_index is None else head.task_index
        outcome = OUTCOMES.index(head.outcome)
        kind = head.failure_kind if isinstance(head.failure_kind, str) else "unnamed" if outcome == MASKED else ""
        self._place(task, head.rollout_index or 0, outcome, head.reward, kind, line)
        self.stages.append(0)
        self.truncated.append(measures.is_truncated)
        self.seconds.append(math.nan if measures.elapsed_s is None else measures.elapsed_s)
        for name in COUNTS:
            self.counts[name].append(min(measures.per_rollout.get(name, 0), _MAX_COUNT))
        self._add_numbers(measures.numbers)

    def add_failure(self, line: Line) -> None:
        """Take in a line of the failures file. A rollout that has a reward by now keeps it."""
        try:
            record = validated(FailureRecord, line)
        except DamagedFileError as error:
            self._note_damage(str(error))
            return
        known = self.find(record.task_index, record.rollout_index)
        if known is not None and self.outcomes[known] != FAILED:
            return
        self._place(record.task_index, record.rollout_index, FAILED, None, record.failure_kind, line)
        self.stages.append(STAGES.index(record.stage))
        self.truncated.append(0)
        self.seconds.append(record.elapsed_s)
        for column in self.counts.values():
            column.append(0)
        self._add_numbers({})

    def find(self, task: int, repeat: int) -> int | None:
        """Return the number of the row of a task and repeat, or None."""
        return self._latest[task, repeat] - 1 if (task, repeat) in self._latest else None

    def place(self, number: int) -> Place:
        """Return which rollout the row with this number is."""
        return divmod(self.keys[number], _PLACES)

    def task(self, number: int) -> int:
        """Return the task of the row with this number: the first of the task file's rows that are one task."""
        return self.rows.first(self.keys[number] >> 32)

    def is_current(self, number: int) -> bool:
        """Tell whether no later row has replaced this one."""
        return self._latest[self.place(number)] == number + 1

    def current(self) -> Iterator[int]:
        """Yield the numbers of the rows that count, in order."""
        if not self._num_replaced:
            return iter(range(len(self.truncated)))
        return (number for number in range(len(self.truncated)) if self.is_current(number))

    def __getitem__(self, number: int) -> Row:
        place, reward, seconds = self.place(number), self.rewards[number], self.seconds[number]
        task, repeat = self.rows.place(*place)
        return Row(
            number=number,
            place=place,
            key=link_key(place),
            task=task,
            repeat=repeat,
            outcome=OUTCOMES[self.outcomes[number]],
            reward=None if math.isnan(reward) else reward,
            kind=self.kind_names[self.kinds[number]],
            stage=STAGES[self.stages[number]],
            offset=self.offsets[number],
            length=self.lengths[number],
            truncated=bool(self.truncated[number]),
            seconds=None if math.isnan(seconds) else seconds,
            counts={name: column[number] for name, column in self.counts.items()},
            numbers={n: c[number] for n, c in self.numbers.items() if number < len(c) and not math.isnan(c[number])},
        )

    def column(self, name: str) -> Any:
        """Return a column of numbers by name, as something to index; None when there is no such name."""
        if name == "reward":
            return self.rewards
        if name in self.counts:
            return self.counts[name]
        own = {"bytes": self.lengths, "truncated": self.truncated, "task": self.keys, "seconds": self.seconds}
        return own.get(name) or self.numbers.get(name)

    def columns(self) -> "tuple[array[Any], ...]":
        """Return every column but the verifier's numbers."""
        own = (
            self.keys,
            self.offsets,
            self.lengths,
            self.rewards,
            self.outcomes,
            self.stages,
            self.truncated,
            self.kinds,
            self.seconds,
        )
        return (*own, *self.counts.values())

    def index_again(self) -> None:
        """Find the latest row of every place anew, after the columns were filled from elsewhere."""
        self._kind_numbers = {name: number for number, name in enumerate(self.kind_names)}
        for number in range(len(self.keys)):
            self._note_latest(*self.place(number), number)

    def _place(self, task: int, repeat: int, outcome: int, reward: float | None, kind: str, line: Line) -> None:
        if kind not in self._kind_numbers and len(self.kind_names) < _MAX_KINDS:
            self._kind_numbers[kind] = len(self.kind_names)
            self.kind_names.append(kind)
        number = len(self.keys)
        self.keys.append(task << 32 | repeat)
        self.offsets.append(line.offset)
        self.lengths.append(line.end - line.offset)
        self.rewards.append(math.nan if reward is None else reward)
        self.outcomes.append(outcome)
        self.kinds.append(self._kind_numbers.get(kind, 0))
        self._note_latest(task, repeat, number)

    def _note_latest(self, task: int, repeat: int, number: int) -> None:
        self._num_replaced += (task, repeat) in self._latest
        self._latest[task, repeat] = number + 1

    def _add_numbers(self, numbers: Any) -> None:
        number = len(self.keys) - 1
        for name, value in numbers.items():
            column = self.numbers.get(name)
            if column is None:
                if len(self.numbers) >= _MAX_NUMBERS:
                    continue
                column = array("d", [math.nan]) * number
                self.numbers = {**self.numbers, name: column}  # replaced, not changed: others may be reading it
            column.append(value)
        for column in self.numbers.values():
            if len(column) == number:
                column.append(math.nan)

    def _note_damage(self, reason: str) -> None:
        self.num_damaged += 1
        if len(self.damaged) < 20:
            self.damaged.append(reason)
