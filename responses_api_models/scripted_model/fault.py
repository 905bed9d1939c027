"""Faults on demand: what goes wrong, with which requests, decided by seed and request number alone."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from responses_api_models.scripted_model.condition import When
from responses_api_models.scripted_model.conversation import Conversation
from responses_api_models.scripted_model.latency import Latency


class _Fault(BaseModel):
    """When a fault strikes: everything given must hold; with nothing given it strikes always."""

    model_config = ConfigDict(extra="forbid")

    rate: float | None = Field(
        default=None, ge=0, le=1, description="Share of requests; rates of several faults add up, each exact."
    )
    every: int | None = Field(default=None, ge=1, description="Each n-th request.")
    on_requests: frozenset[int] | None = Field(default=None, description="Request numbers, from 1.")
    when: When | None = Field(default=None, description="As in rules.")


class StatusFault(_Fault):
    """An error answer with any status."""

    kind: Literal["status"]
    status: int = Field(ge=200, le=599, description="HTTP status.")
    code: str | None = Field(default=None, description="OpenAI error code, e.g. context_length_exceeded.")
    message: str | None = Field(default=None, description="Error text; absent: the usual one of the code.")
    headers: dict[str, str] = Field(default_factory=dict, description="Extra headers, e.g. Retry-After.")
    body: dict[str, Any] | str | None = Field(default=None, description="Whole body instead of an OpenAI error.")


class SlowFault(_Fault):
    """A good answer, later."""

    kind: Literal["slow"]
    latency_s: Latency = Field(description="Seconds or [min, max], added to the usual latency.")


class HugeBodyFault(_Fault):
    """A valid answer with a message of this size."""

    kind: Literal["huge_body"]
    size_bytes: int = Field(default=50_000_000, ge=1, le=10_000_000_000, description="Bytes of message text.")


class WireFault(_Fault):
    """A connection or a body that is not as it should be.

    silent: never answers, until the client leaves. drop_after_headers: good headers, then the connection closes.
    half_body: closes in the middle of a good body. html: 200 with a web page. not_a_response: 200 with other JSON.
    """

    kind: Literal["silent", "drop_after_headers", "half_body", "html", "not_a_response"]


Fault = Annotated[StatusFault | SlowFault | HugeBodyFault | WireFault, Field(discriminator="kind")]
FAULTS: TypeAdapter[list[Fault]] = TypeAdapter(list[Fault])


def pick_fault(
    faults: Sequence[Fault], conversation: Conversation, *, request_number: int, chance: float
) -> Fault | None:
    """Return the first fault that strikes this request, or None.

    Args:
        faults: In order of precedence.
        conversation: The request.
        request_number: Number of the request at this endpoint, from 1.
        chance: The request's draw, in [0, 1). Each rate takes its own stretch of it, so that 0.3 and 0.1
            are 30 % and 10 % of all requests, not 10 % of what the first left.
    """
    for fault in faults:
        if not _meant(fault, conversation, request_number):
            continue
        if fault.rate is None or chance < fault.rate:
            return fault
        chance -= fault.rate
    return None


def _meant(fault: _Fault, conversation: Conversation, request_number: int) -> bool:
    if fault.every is not None and request_number % fault.every:
        return False
    if fault.on_requests is not None and request_number not in fault.on_requests:
        return False
    return fault.when is None or fault.when.match(conversation) is not None
