"""What an earlier start of the same collection has settled already."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from nemo_gym.rollouts.line_file import read_lines
from nemo_gym.rollouts.outcome import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY
from nemo_gym.rollouts.output import OutputPaths

Key = tuple[int, int]


@dataclass
class Settled:
    """Scored and masked rollouts are done; a failure is tried again, with a further attempt number.

    Attributes:
        done: (task index, rollout index) of every row of the rollout file.
        attempts: How many attempts each rollout has had, where the journal knows of one.
        final: Rollouts whose row can never be sent: their failure stays.
        unverified: The verify request of the last attempt whose verification alone failed.
    """

    done: set[Key] = field(default_factory=set)
    attempts: Counter[Key] = field(default_factory=Counter)
    final: set[Key] = field(default_factory=set)
    unverified: dict[Key, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, paths: OutputPaths) -> "Settled":
        """Read the files of a collection."""
        settled = cls(done={_key(row) for row in read_lines(paths.rollouts)})
        for event in read_lines(paths.journal):
            if event.get("event") == "dispatched":
                key = _key(event)
                settled.attempts[key] = max(settled.attempts[key], event["attempt"] + 1)
        settled.final = {_key(r) for r in read_lines(paths.failures) if r["failure_kind"] == "input_invalid"}
        for saved in read_lines(paths.unverified):
            key = _key(saved)
            if key not in settled.done:
                settled.unverified[key] = saved["verify_request"]
        return settled


def _key(row: dict[str, Any]) -> Key:
    return row[TASK_INDEX_KEY], row[ROLLOUT_INDEX_KEY]
