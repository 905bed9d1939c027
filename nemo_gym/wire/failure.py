"""The failure: what went wrong, where, and what that means; the one error envelope on every hop.

The server where an error arises answers with `Failure` under the key `error`; everyone on the way passes it on
unchanged, so what the person finally reads is "the judge answered 429" and not "500 from the agent".
"""

from typing import Any, Literal, NewType, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.scrubber import KNOWN_SECRETS

Stage = Literal["admission", "seed", "agent", "verification", "cleanup"]
Delivery = Literal["not_sent", "possibly_delivered", "delivered"]

FailureKind = Literal[
    "transport_unreachable",
    "transport_dropped",
    "transport_timeout",
    "transport_local_resource",
    "model_unavailable",
    "model_rate_limited",
    "model_quota_exhausted",
    "model_auth",
    "model_bad_request",
    "model_bad_output",
    "model_content_filter",
    "context_length_exceeded",
    "agent_error",
    "agent_timeout",
    "tool_error",
    "tool_timeout",
    "turn_error",
    "turn_timeout",
    "user_failed",
    "verifier_error",
    "verifier_timeout",
    "judge_failed",
    "judge_unparseable",
    "session_lost",
    "session_expired",
    "server_died",
    "token_data_invalid",
    "input_invalid",
    "cancelled",
]
FAILURE_KINDS: tuple[str, ...] = get_args(FailureKind)

OwnKind = NewType("OwnKind", str)
"""A kind that one server adds: `<server>:<kind>`, see `own_kind`."""

AnyKind = FailureKind | OwnKind

TERMINAL_KINDS = frozenset(
    {"model_auth", "model_quota_exhausted", "model_bad_request", "context_length_exceeded", "input_invalid"}
)
"""Kinds that a further attempt would meet again."""

MAX_REASON_CHARS = 2_000
MAX_UPSTREAM_BODY_CHARS = 1_000

_STATUS_BY_KIND = {
    "input_invalid": 422,
    "session_lost": 409,
    "session_expired": 409,
    "model_rate_limited": 429,
    "model_bad_request": 400,
    "context_length_exceeded": 400,
    "transport_unreachable": 502,
    "transport_dropped": 502,
    "model_unavailable": 502,
    "model_auth": 502,
    "model_quota_exhausted": 502,
    "model_bad_output": 502,
    "judge_failed": 502,
    "user_failed": 502,
    "judge_unparseable": 502,
    "transport_timeout": 504,
    "tool_timeout": 504,
    "turn_timeout": 504,
    "verifier_timeout": 504,
    "agent_timeout": 504,
}


class Origin(BaseModel):
    """The server where a failure arose."""

    server: str
    status: int | None = Field(default=None, description="HTTP status, if there was one.")


class Failure(BaseModel):
    """The error envelope.

    `kind` is one of `FAILURE_KINDS` or a server's own `<server>:<kind>`; `reason` is for a person. It and
    `upstream_body` are cut to their limits, without any secret this process knows, whoever made them.
    """

    model_config = ConfigDict(extra="allow")

    kind: str
    reason: str
    stage: Stage | None = None
    origin: Origin | None = None
    delivery: Delivery = "delivered"
    terminal: bool = False
    upstream_body: str | None = None
    request_id: str | None = None

    @field_validator("reason")
    @classmethod
    def _clean_reason(cls, reason: str) -> str:
        return KNOWN_SECRETS.cut(reason, MAX_REASON_CHARS)

    @field_validator("upstream_body")
    @classmethod
    def _clean_body(cls, body: str | None) -> str | None:
        return None if body is None else KNOWN_SECRETS.cut(body, MAX_UPSTREAM_BODY_CHARS)

    @property
    def status(self) -> int:
        """HTTP status that carries this failure."""
        return _STATUS_BY_KIND.get(self.kind, 500)


class RolloutError(Exception):
    """A rollout cannot go on: carries the `Failure` that says why.

    Raise it in a server to answer with that failure; the client raises it for every answer that is one. `trajectory`
    is the verify request of a rollout whose generation succeeded and whose verification did not: a later
    verification starts from it.
    """

    def __init__(self, failure: Failure, trajectory: JsonObject | None = None) -> None:
        super().__init__(f"{failure.kind}: {failure.reason}")
        self.failure = failure
        self.trajectory = trajectory


def own_kind(server: str, kind: str) -> OwnKind:
    """Return the name of a failure kind that is one server's own."""
    return OwnKind(f"{server}:{kind}")


def rollout_error(
    kind: AnyKind,
    reason: str,
    *,
    stage: Stage | None = None,
    server: str | None = None,
    status: int | None = None,
    delivery: Delivery = "delivered",
    upstream_body: str | None = None,
) -> RolloutError:
    """Return the exception for a failure of `kind`, with reason and upstream body cut to their limits."""
    return RolloutError(
        Failure(
            kind=kind,
            reason=reason,
            stage=stage,
            origin=None if server is None else Origin(server=server, status=status),
            delivery=delivery,
            terminal=kind in TERMINAL_KINDS,
            upstream_body=upstream_body,
        )
    )


def failure_body(failure: Failure, *, detail: Any = None, trajectory: JsonObject | None = None) -> JsonObject:
    """Return the JSON body that carries `failure`; `detail` is what FastAPI's own error bodies have there.

    It is without any secret this process knows, but for the trajectory, which is data.
    """
    said = failure.reason if detail is None else detail
    body: JsonObject = KNOWN_SECRETS.plain(
        {"detail": said, "error": failure.model_dump(mode="json", exclude_none=True)}
    )
    if trajectory is not None:
        body["trajectory"] = trajectory
    return body


def parse_failure_body(body: Any) -> RolloutError | None:
    """Return the failure that a decoded answer carries, or None when it carries none of ours."""
    if not isinstance(body, dict) or not isinstance(body.get("error"), dict):
        return None
    try:
        return RolloutError(Failure.model_validate(body["error"]), body.get("trajectory"))
    except ValidationError:
        return None
