"""The policy of one endpoint: everything about it except its handler."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from nemo_gym.wire.failure import AnyKind, FailureKind, Stage

Invoke = Callable[[], Awaitable[Any]]
Wrap = Callable[[Request, bytes, Invoke], Awaitable[Any]]


@dataclass(frozen=True)
class EndpointPolicy:
    """The failures an endpoint can cause, its deadline, and what wraps the handler.

    Attributes:
        error_kind: Failure kind of an exception nobody foresaw.
        stage: Stage of a failure that names none.
        timeout_s: Longest the handler may take, in seconds; None: no bound here.
        timeout_setting: What the error at the deadline names.
        wrap: Called with request, raw body and the handler's call; calls it, or raises.
        check_result: Gets what the handler returned; returns what is sent, or raises.
        passes_token_arrays: The handler passes token arrays on without looking at them: it sees marks in their places.
    """

    server_name: str
    error_kind: AnyKind = "agent_error"
    stage: Stage | None = None
    timeout_s: float | None = None
    timeout_setting: str = ""
    timeout_kind: FailureKind = "agent_timeout"
    wrap: Wrap | None = None
    check_result: Callable[[Any], Any] | None = None
    passes_token_arrays: bool = False
