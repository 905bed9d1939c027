"""The one outcome of a task attempt: scored, masked, or failed."""

import math
import time
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from nemo_gym.wire.failure import MAX_REASON_CHARS, Delivery, Origin, RolloutError, Stage, rollout_error

TASK_INDEX_KEY = "_ng_task_index"
ROLLOUT_INDEX_KEY = "_ng_rollout_index"
MASK_KEYS = ("mask_sample", "failure_kind", "failure_reason")
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Scored:
    """A verified rollout: the row to write. `mask_sample` in the row: not to be trained on."""

    row: dict[str, Any]

    @property
    def key(self) -> tuple[int, int]:
        """Task index and rollout index."""
        return self.row[TASK_INDEX_KEY], self.row[ROLLOUT_INDEX_KEY]

    @property
    def is_masked(self) -> bool:
        """Tell whether the reward must stay out of every mean and export."""
        return bool(self.row.get("mask_sample"))

    @property
    def reward(self) -> float:
        """The reward, finite."""
        return float(self.row["reward"])


class FailureRecord(BaseModel):
    """A rollout without a valid reward, as `<stem>_failures.jsonl` keeps it. Times in seconds since the epoch."""

    schema_version: int = SCHEMA_VERSION
    task_index: int
    rollout_index: int
    attempt: int
    rollout_id: str
    agent_ref: dict[str, str] | None
    failure_kind: str
    stage: Stage
    failure_reason: str
    origin: Origin | None
    delivery: Delivery
    terminal: bool
    started_at: float
    elapsed_s: float

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "FailureRecord":
        """Return the record that a line of the failures file holds."""
        return cls.model_validate({**row, "task_index": row[TASK_INDEX_KEY], "rollout_index": row[ROLLOUT_INDEX_KEY]})

    def as_row(self) -> dict[str, Any]:
        """Return the record as it is written."""
        plain = self.model_dump(mode="json")
        return {
            "schema_version": plain.pop("schema_version"),
            TASK_INDEX_KEY: plain.pop("task_index"),
            ROLLOUT_INDEX_KEY: plain.pop("rollout_index"),
            **plain,
        }


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


Outcome = Scored | Failed


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
    def agent_ref(self) -> dict[str, str] | None:
        """The agent as a row names it."""
        return None if self.agent_name is None else {"type": "responses_api_agents", "name": self.agent_name}

    def scored(self, answer: Any) -> Scored:
        """Return the outcome of an answer to `/run`; raises the failure when it holds no valid reward."""
        reward = answer.get("reward") if isinstance(answer, dict) else None
        if isinstance(reward, bool) or not isinstance(reward, int | float) or not math.isfinite(reward):
            reason = f"the answer of {self.agent_name} has {reward!r} as its reward"
            raise rollout_error("verifier_error", reason, stage="verification", server=self.agent_name)
        marks = {TASK_INDEX_KEY: self.task_index, ROLLOUT_INDEX_KEY: self.rollout_index, "agent_ref": self.agent_ref}
        return Scored({**answer, **marks})

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
            elapsed_s=round(time.time() - self.started_at, 3),
        )
        return Failed(record, error.trajectory, error)
