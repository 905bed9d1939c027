"""What an earlier start of the same collection has settled already."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.line_file import read_line_at, read_lines, read_placed_lines
from nemo_gym.collections.records import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY, FailureRecord

Key = tuple[int, int]


@dataclass
class ResumeState:
    """Scored and masked rollouts are done; a failure is tried again, with a further attempt number.

    Attributes:
        done: (task index, rollout index) of every row of the rollout file.
        attempts: How many attempts each other rollout has had.
        final: Rollouts whose row can never be sent: their failure stays.
        failed_at: Byte offset in the failure file of the last failure of each other rollout.
        unverified_path: Where the trajectories are that nobody could verify yet.
        unverified_at: Byte offset there of each rollout's last one.
    """

    failures_path: Path
    unverified_path: Path
    done: set[Key] = field(default_factory=set)
    attempts: Counter[Key] = field(default_factory=Counter)
    final: dict[Key, FailureRecord] = field(default_factory=dict)
    failed_at: dict[Key, int] = field(default_factory=dict)
    unverified_at: dict[Key, int] = field(default_factory=dict)

    @classmethod
    def read(cls, paths: OutputPaths, see: Callable[[dict[str, Any]], None]) -> "ResumeState":
        """Read the files of a collection; `see` is shown every row of the rollout file.

        Raises:
            OutputError: A file was damaged from outside.
        """
        settled = cls(paths.failures, paths.unverified)
        for row in read_lines(paths.rollouts):
            settled.done.add(_key(row))
            see(row)
        for event in read_lines(paths.journal):
            key = _key(event)
            if event["event"] == "dispatched" and key not in settled.done:
                settled.attempts[key] = max(settled.attempts[key], event["attempt"] + 1)
        for offset, failure in read_placed_lines(paths.failures):
            key = _key(failure)
            if failure["failure_kind"] == "input_invalid" and failure["stage"] == "admission":
                settled.final[key] = FailureRecord.from_row(failure)
            elif key not in settled.done:
                settled.failed_at[key] = offset
        for offset, saved in read_placed_lines(paths.unverified):
            if _key(saved) not in settled.done:
                settled.unverified_at[_key(saved)] = offset
        return settled

    def is_settled(self, key: Key) -> bool:
        """Tell whether a rollout needs no further attempt."""
        return key in self.done or key in self.final

    def trajectory(self, key: Key) -> dict[str, Any] | None:
        """Return the verify request that waits for its verdict, or None when the rollout has to be generated."""
        offset = self.unverified_at.get(key)
        if offset is None:
            return None
        verify_request: dict[str, Any] = read_line_at(self.unverified_path, offset)["verify_request"]
        return verify_request

    def earlier_failures(self) -> Iterator[FailureRecord]:
        """Yield the failures of `failed_at`."""
        for offset in self.failed_at.values():
            yield FailureRecord.from_row(read_line_at(self.failures_path, offset))


def _key(row: dict[str, Any]) -> Key:
    return row[TASK_INDEX_KEY], row[ROLLOUT_INDEX_KEY]
