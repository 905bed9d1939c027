"""The lines that the files of a collection hold."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nemo_gym.wire.call_times import CALLS_KEY, TimedCall
from nemo_gym.wire.failure import Delivery, Origin, Stage

TASK_INDEX_KEY = "_ng_task_index"
ROLLOUT_INDEX_KEY = "_ng_rollout_index"
STARTED_AT_KEY = "_ng_started_at"
ELAPSED_S_KEY = "_ng_elapsed_s"
TIME_KEYS = (STARTED_AT_KEY, ELAPSED_S_KEY, CALLS_KEY)
MASK_KEYS = ("mask_sample", "failure_kind", "failure_reason")
SCHEMA_VERSION = 1


class _Placed(BaseModel):
    """A line that belongs to one rollout."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    task_index: int = Field(alias=TASK_INDEX_KEY, ge=0, description="Row in the input, from 0.")
    rollout_index: int = Field(alias=ROLLOUT_INDEX_KEY, ge=0, description="Repeat, from 0.")


class RolloutRow(_Placed):
    """A line of the rollout file: the agent's answer to `/run` and its place, with every field of task and verifier."""

    model_config = ConfigDict(extra="allow")

    reward: float
    agent_ref: dict[str, Any] | None = None
    started_at: float | None = Field(
        default=None, alias=STARTED_AT_KEY, description="When the attempt began, in seconds since the epoch."
    )
    elapsed_s: float | None = Field(
        default=None, alias=ELAPSED_S_KEY, description="From there until the agent's answer was there, in seconds."
    )
    calls: list[TimedCall] | None = Field(
        default=None, alias=CALLS_KEY, description="The agent's calls in the order in which they ended."
    )
    mask_sample: bool | None = Field(default=None, description="True: verified, but not to be trained on.")
    failure_kind: str | None = Field(default=None, description="Why it is masked.")
    failure_reason: str | None = Field(default=None, description="Why it is masked, for a person.")
    responses_create_params: dict[str, Any] | None = None
    response: dict[str, Any] | None = Field(default=None, description="The trajectory, as a Response.")


class MaterializedInput(_Placed):
    """A line of the materialized inputs: a task row as it was first sent to its agent."""

    model_config = ConfigDict(extra="allow")

    responses_create_params: dict[str, Any]
    agent_ref: dict[str, Any] | None = None


class FailureRecord(_Placed):
    """A rollout without a valid reward, as `<stem>_failures.jsonl` keeps it. Times in seconds since the epoch."""

    schema_version: int = SCHEMA_VERSION
    attempt: int = Field(ge=0)
    rollout_id: str
    agent_ref: dict[str, str] | None
    failure_kind: str
    stage: Stage
    failure_reason: str
    origin: Origin | None
    delivery: Delivery
    terminal: bool = Field(description="No further attempt makes sense.")
    started_at: float
    elapsed_s: float

    def as_row(self) -> dict[str, Any]:
        """Return the record as it is written."""
        return self.model_dump(mode="json")


class Dispatched(_Placed):
    """A line of the journal: an attempt began. `at`: seconds since the epoch."""

    event: Literal["dispatched"] = "dispatched"
    attempt: int = Field(ge=0)
    at: float


class AttemptFailed(FailureRecord):
    """A line of the journal: an attempt failed, and another was to follow."""

    event: Literal["failed"] = "failed"


JournalEvent = Annotated[Dispatched | AttemptFailed, Field(discriminator="event")]


class UnverifiedRecord(_Placed):
    """A trajectory whose verification failed: a verify request that only lacks its verdict."""

    attempt: int = Field(ge=0)
    verify_request: dict[str, Any]
