"""The two errors of the converter: a request that the other API can't express, and an answer that isn't one."""

from typing import Any, Self

from nemo_gym.wire.failure import TERMINAL_KINDS, Delivery, Failure, FailureKind, RolloutError


class _ConversionError(RolloutError, ValueError):
    """Carries `path`, the place in the JSON (such as `input[3].content[0]`), and `problem`, what is wrong there."""

    kind: FailureKind
    delivery: Delivery

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(
            Failure(
                kind=self.kind,
                reason=f"{path}: {problem}",
                terminal=self.kind in TERMINAL_KINDS,
                delivery=self.delivery,
            )
        )

    def under(self, parent: str) -> Self:
        """Return the same error, with its path continued upwards: `content[0]` under `input[3]`."""
        return type(self)(f"{parent}.{self.path}" if self.path else parent, self.problem)


class RequestConversionError(_ConversionError):
    """The request has something that the other API has no words for. A server answers it with HTTP 400."""

    kind = "model_bad_request"
    delivery = "not_sent"


class ModelOutputError(_ConversionError):
    """The model endpoint's answer isn't what its API promises, so no sound answer can be made of it."""

    kind = "model_bad_output"
    delivery = "delivered"


def shown(value: Any, limit: int = 80) -> str:
    """Return a text for an error message, cut to `limit` characters; of anything else, None or the name of its type."""
    if not isinstance(value, str):
        return "None" if value is None else type(value).__name__
    # Cut before `repr`: a hostile text may have megabytes.
    text = repr(value[: limit + 1])
    return text if len(text) <= limit else f"{text[:limit]}…"
