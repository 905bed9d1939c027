"""What a collection and its drivers say to each other: rollouts out, their events and outcomes back.

A rollout's row travels as the line that is written, so that the collection never parses it. Its task and repeat name
a rollout: there is only one attempt at it at a time.
"""

from typing import Any

import msgspec

from nemo_gym.collections.metrics.measures import RolloutMeasures
from nemo_gym.rollouts.token_data.masking import MaskedExample
from nemo_gym.servers.runs.access import RunAccess

Key = tuple[int, int]
"""Task index and rollout index."""


class Settings(msgspec.Struct, tag="settings", array_like=True):
    """The first message to a driver: which servers to call, and what holds for every rollout.

    Attributes:
        server_config: The run's configuration, with the address of every instance.
        proof: What a driver that came over the network was told to expect; None: it didn't.
        check_token_ids: See `TokenDataMasking`.
        sent_fields: Names of the fields of the task rows, which aren't results.
    """

    head_host: str
    head_port: int
    server_config: dict[str, Any]
    access: RunAccess
    agent_name: str | None
    params: dict[str, Any]
    max_attempts: int
    rollout_timeout_s: float
    check_token_ids: bool | None
    sent_fields: list[str]
    proof: bytes | None = None


class Run(msgspec.Struct, tag="run", array_like=True):
    """Run a rollout: the fields are those of `Work`, with the trajectory as JSON; `line` is its task's."""

    key: Key
    line_number: int
    line: bytes
    first_attempt: int
    max_attempts: int | None
    trajectory: bytes | None


class Stop(msgspec.Struct, tag="stop", array_like=True):
    """Begin no further attempts."""


class Ready(msgspec.Struct, tag="ready", array_like=True):
    """The driver has its settings, and runs what it is given."""


class Dispatched(msgspec.Struct, tag="dispatched", array_like=True):
    """An attempt begins."""

    key: Key
    attempt: int


class Materialized(msgspec.Struct, tag="materialized", array_like=True):
    """A task row as it is sent to its agent."""

    key: Key
    line: bytes


class Unverified(msgspec.Struct, tag="unverified", array_like=True):
    """An attempt generated what could not be verified."""

    key: Key
    line: bytes


class AttemptFailed(msgspec.Struct, tag="attempt_failed", array_like=True):
    """An attempt failed, and another is to follow. `record` is a FailureRecord as JSON."""

    key: Key
    record: bytes


class Verified(msgspec.Struct, tag="verified", array_like=True):
    """The outcome of a rollout with a reward. `example`: the first of this driver whose token data is wrong."""

    key: Key
    reward: float
    is_masked: bool
    mask_kind: Any
    line: bytes
    measures: RolloutMeasures
    example: MaskedExample | None = None


class GivenUp(msgspec.Struct, tag="given_up", array_like=True):
    """The outcome of a rollout that failed. `record` is a FailureRecord as JSON."""

    key: Key
    record: bytes


ToDriver = Settings | Run | Stop
OfRollout = Dispatched | Materialized | Unverified | AttemptFailed | Verified | GivenUp
FromDriver = Ready | OfRollout
