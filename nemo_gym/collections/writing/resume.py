"""What an earlier start of the same collection has settled already."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.line_file import (
    DamagedFileError,
    Line,
    decoded,
    decoded_as,
    iter_lines,
    line_at,
    lines_at,
    until_stopped,
)
from nemo_gym.collections.reading.index import Index32
from nemo_gym.collections.reading.paged_array import ByRollout, Key
from nemo_gym.collections.reading.reader import CollectionReader, StoredRollout, validated
from nemo_gym.collections.records import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY, FailureRecord

_PLACE = {"task_index": TASK_INDEX_KEY, "rollout_index": ROLLOUT_INDEX_KEY}


class _Place(msgspec.Struct, rename=_PLACE):
    task_index: Index32
    rollout_index: Annotated[int, Meta(ge=0, lt=2**20)]

    @property
    def key(self) -> Key:
        return self.task_index, self.rollout_index


class _Event(_Place, rename=_PLACE):
    event: str
    attempt: Annotated[int, Meta(ge=0, lt=2**31)]


class _Failure(_Place, rename=_PLACE):
    failure_kind: str
    stage: str


class ResumeState:
    """Scored and masked rollouts are done; a failure is tried again, with a further attempt number.

    A few bytes for each rollout: a million of them take some megabytes.

    Attributes:
        done: Rollouts with a row in the rollout file.
        attempts: How many attempts each other rollout has had.
        sent: Rollouts whose row is among the materialized inputs.
    """

    def __init__(self, paths: OutputPaths) -> None:
        self._paths = paths
        self.done = ByRollout("B")
        self.attempts = ByRollout("I")
        self.sent = ByRollout("B")
        # Byte offsets plus 1, of the last line of each rollout: 0 is none.
        self._final_at = ByRollout("Q")
        self._failed_at = ByRollout("Q")
        self._unverified_at = ByRollout("Q")

    @classmethod
    def read(
        cls,
        paths: OutputPaths,
        see: Callable[[StoredRollout], None],
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> "ResumeState":
        """Read the files of a collection; `see` is shown every row of the rollout file.

        Raises:
            DamagedFileError: A file was damaged from outside.
            ReadingStopped: `is_stopped` became true meanwhile.
        """
        state = cls(paths)
        state._read_rollouts(see, is_stopped)
        for line in until_stopped(iter_lines(paths.journal), is_stopped):
            event = decoded_as(_EVENTS, line)
            if event.event == "dispatched" and event.key not in state.done:
                state.attempts[event.key] = max(state.attempts[event.key], event.attempt + 1)
        for line in until_stopped(iter_lines(paths.failures), is_stopped):
            state._add_failure(line)
        for line in until_stopped(iter_lines(paths.unverified), is_stopped):
            key = decoded_as(_PLACES, line).key
            if key not in state.done:
                state._unverified_at[key] = line.offset + 1
        for line in until_stopped(iter_lines(paths.materialized_inputs), is_stopped):
            state.sent[decoded_as(_PLACES, line).key] = 1
        return state

    def is_settled(self, key: Key) -> bool:
        """Tell whether a rollout needs no further attempt."""
        return key in self.done or key in self._final_at

    def trajectory(self, key: Key) -> dict[str, Any] | None:
        """Return the verify request that waits for its verdict, or None when the rollout has to be generated."""
        at = self._unverified_at[key]
        if not at:
            return None
        line = line_at(self._paths.unverified, at - 1)
        request = decoded(line).get("verify_request")
        if not isinstance(request, dict):
            raise DamagedFileError(f"{line.place} is damaged: no verify_request")
        return request

    def final_failures(self) -> Iterator[FailureRecord]:
        """Yield the failures that stay: their row can never be sent."""
        return self._failures(self._final_at)

    def earlier_failures(self) -> Iterator[FailureRecord]:
        """Yield the last failure of each other rollout that has had no outcome since."""
        return self._failures(self._failed_at)

    def forget_failure(self, key: Key) -> None:
        """Take note that a rollout has had another outcome."""
        self._failed_at[key] = 0

    def _read_rollouts(self, see: Callable[[StoredRollout], None], is_stopped: Callable[[], bool]) -> None:
        for rollout in until_stopped(CollectionReader(self._paths.rollouts).rollouts(), is_stopped):
            if rollout.task_index is None or rollout.rollout_index is None or rollout.reward is None:
                raise DamagedFileError(f"{rollout.line.place} is not a rollout of a collection: no place or reward")
            self.done[rollout.task_index, rollout.rollout_index] = 1
            see(rollout)

    def _add_failure(self, line: Line) -> None:
        failure = decoded_as(_FAILURES, line)
        if failure.failure_kind == "input_invalid" and failure.stage == "admission":
            self._final_at[failure.key] = line.offset + 1
        elif failure.key not in self.done:
            self._failed_at[failure.key] = line.offset + 1

    def _failures(self, offsets: ByRollout) -> Iterator[FailureRecord]:
        starts = (at - 1 for _, at in offsets.items())
        for line in lines_at(self._paths.failures, starts) if self._paths.failures.exists() else ():
            yield validated(FailureRecord, line)


_PLACES = msgspec.json.Decoder(_Place)
_EVENTS = msgspec.json.Decoder(_Event)
_FAILURES = msgspec.json.Decoder(_Failure)
