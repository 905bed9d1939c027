"""One attempt at one rollout, and the one outcome that it has: scored, masked, or failed."""

import logging
import math
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from nemo_gym.collections.line_file import encode_line
from nemo_gym.collections.records import (
    ELAPSED_S_KEY,
    ROLLOUT_INDEX_KEY,
    STARTED_AT_KEY,
    TASK_INDEX_KEY,
    FailureRecord,
)
from nemo_gym.wire.failure import MAX_REASON_CHARS, RolloutError, rollout_error
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.token_arrays import Arrays, put_back_arrays

_log = logging.getLogger("nemo_gym.collections")


@dataclass(frozen=True)
class Scored:
    """A verified rollout: the row to write. `mask_sample` in the row: not to be trained on.

    Attributes:
        row: Decoded; where `arrays` has a token array, a mark stands.
        arrays: Token arrays as text, which nobody here parses.
    """

    row: dict[str, Any]
    arrays: Arrays = field(default_factory=dict, compare=False, repr=False)

    @property
    def key(self) -> tuple[int, int]:
        """Task index and rollout index."""
        return self.row[TASK_INDEX_KEY], self.row[ROLLOUT_INDEX_KEY]

    @property
    def is_masked(self) -> bool:
        """Tell whether the reward must stay out of every mean and export."""
        return bool(self.row.get("mask_sample"))

    @property
    def mask_kind(self) -> Any:
        """Why it is masked, as its row says."""
        return self.row.get("failure_kind")

    @property
    def reward(self) -> float:
        """The reward, finite."""
        return float(self.row["reward"])

    @cached_property
    def line(self) -> bytes:
        """The row as it is written; raises TypeError when JSON has no form for it."""
        return put_back_arrays(encode_line(self.row), self.arrays)

    def with_fields(self, **fields: Any) -> "Scored":
        """Return the rollout with other values for some fields of its row."""
        return Scored({**self.row, **fields}, self.arrays)


@dataclass(frozen=True)
class Failed:
    """A failure, and the verify request when only its verification failed."""

    record: FailureRecord
    trajectory: dict[str, Any] | None = None
    error: RolloutError | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> tuple[int, int]:
        """Task index and rollout index."""
        return self.record.task_index, self.record.rollout_index


AttemptOutcome = Scored | Failed


class Verified(Protocol):
    """A rollout with a reward, in whichever process it was run."""

    @property
    def key(self) -> tuple[int, int]:
        """Task index and rollout index."""

    @property
    def row(self) -> dict[str, Any]:
        """The row, decoded."""

    @property
    def reward(self) -> float:
        """The reward, finite."""

    @property
    def is_masked(self) -> bool:
        """Tell whether the reward must stay out of every mean and export."""

    @property
    def mask_kind(self) -> Any:
        """Why it is masked, as its row says."""

    @property
    def line(self) -> bytes:
        """The row as it is written."""


Outcome = Verified | Failed


@dataclass(frozen=True)
class Attempt:
    """One attempt at one rollout of one task, from its dispatch on. `number` is counted from 0."""

    task_index: int
    rollout_index: int
    number: int
    agent_name: str | None
    started_at: float

    @classmethod
    def begin(cls, task_index: int, rollout_index: int, number: int, agent_name: str | None) -> "Attempt":
        """Return an attempt that starts now."""
        return cls(task_index, rollout_index, number, agent_name, time.time())

    @property
    def rollout_id(self) -> str:
        """Name of the attempt within its collection, for logs and files."""
        return f"{self.task_index}-{self.rollout_index}-{self.number}"

    @property
    def key(self) -> tuple[int, int]:
        """Task index and rollout index."""
        return self.task_index, self.rollout_index

    @property
    def place(self) -> dict[str, int]:
        """Task and repeat as every line has them."""
        return {TASK_INDEX_KEY: self.task_index, ROLLOUT_INDEX_KEY: self.rollout_index}

    @property
    def agent_ref(self) -> dict[str, str] | None:
        """The agent as a row names it."""
        return None if self.agent_name is None else {"type": "responses_api_agents", "name": self.agent_name}

    def scored(self, answer: Any, arrays: Arrays | None = None, *, was_run: bool = False) -> Scored:
        """Return the outcome of an answer with a verdict; raises the failure when it holds no valid reward.

        Args:
            answer: Decoded.
            arrays: Token arrays that were taken out of it.
            was_run: It answers `/run`, so the attempt has taken as long as the rollout; else it was verified alone.
        """
        reward = answer.get("reward") if isinstance(answer, dict) else None
        if isinstance(reward, bool) or not isinstance(reward, int | float) or not math.isfinite(reward):
            reason = f"the answer of {self.agent_name} has {reward!r} as its reward"
            raise rollout_error("verifier_error", reason, stage="verification", server=self.agent_name)
        marks: JsonObject = {**self.place, "agent_ref": self.agent_ref}
        if was_run:
            marks |= {STARTED_AT_KEY: round(self.started_at, 3), ELAPSED_S_KEY: self._elapsed_s()}
        scored = Scored({**answer, **marks}, arrays or {})
        try:
            _ = scored.line  # here, where it is one failed rollout; while writing it would end the collection
        except TypeError as error:
            reason = f"the answer of {self.agent_name} can't be written: {error}"
            raise rollout_error("verifier_error", reason, stage="verification", server=self.agent_name) from error
        return scored

    def materialized(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a task row as it is sent, with its agent and its place."""
        return {**row, "agent_ref": row.get("agent_ref") or self.agent_ref, **self.place}

    def unverified_line(self, verify_request: dict[str, Any]) -> bytes | None:
        """Return the line of a verify request that waits for its verdict; None, with a warning, if JSON has no form."""
        try:
            return encode_line({**self.place, "attempt": self.number, "verify_request": verify_request})
        except TypeError as error:
            _log.warning("rollout %s can't be kept for a later verification: %s", self.rollout_id, error)
            return None

    def failed(self, error: RolloutError) -> Failed:
        """Return the outcome of a failure."""
        failure = error.failure
        record = FailureRecord(
            task_index=self.task_index,
            rollout_index=self.rollout_index,
            attempt=self.number,
            rollout_id=self.rollout_id,
            agent_ref=self.agent_ref,
            failure_kind=failure.kind,
            stage=failure.stage or "agent",
            failure_reason=failure.reason[:MAX_REASON_CHARS],
            origin=failure.origin,
            delivery=failure.delivery,
            terminal=failure.terminal,
            started_at=self.started_at,
            elapsed_s=self._elapsed_s(),
        )
        return Failed(record, error.trajectory, error)

    def _elapsed_s(self) -> float:
        return round(time.time() - self.started_at, 3)
