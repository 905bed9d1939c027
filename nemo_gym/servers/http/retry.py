"""The one retry policy: how often, for how long, and what may be sent again.

The clock starts at the first failure, not at the request: a generation may take 20 minutes and still be retried.
"""

import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 8.0


@dataclass(frozen=True)
class RetryLimit:
    """Bound for one class of error. `attempts` None: bounded by time alone (`within_s` seconds)."""

    name: str
    attempts: int | None
    within_s: float

    @property
    def bound(self) -> str:
        """The bound in words, for errors."""
        return (
            f"{self.within_s:g} s" if self.attempts is None else f"{self.attempts} attempts within {self.within_s:g} s"
        )


CANNOT_CONNECT = RetryLimit("cannot_connect", 5, 15.0)
CONNECTION_LOST = RetryLimit("connection_lost", 3, 60.0)
LOCAL_RESOURCE = RetryLimit("local_resource", None, 120.0)
MODEL_ENDPOINT = RetryLimit("model_endpoint", 10, 300.0)


@dataclass(frozen=True)
class TransportLimits:
    """Bounds for one call: a limit for each class of error, and the size of its answer in bytes."""

    cannot_connect: RetryLimit = CANNOT_CONNECT
    connection_lost: RetryLimit = CONNECTION_LOST
    local_resource: RetryLimit = LOCAL_RESOURCE
    max_answer_bytes: int = 256 * 1024 * 1024


TRANSPORT_LIMITS = TransportLimits()


@dataclass
class RetryCounter:
    """Counts the failures of one request, one count and one clock for each class of error."""

    _failures: dict[str, int] = field(default_factory=dict)
    _first_at: dict[str, float] = field(default_factory=dict)

    def delay_before_next(self, limit: RetryLimit, *, retry_after_s: float | None = None) -> float | None:
        """Note one more failure; return the seconds to wait before the next attempt, or None to give up.

        Full jitter: uniform in 0 … min(8, 0.5 · 2ⁿ) seconds; a `Retry-After` is waited for as it says, as long as
        it fits into the remaining time.
        """
        now = time.monotonic()
        failures = self._failures[limit.name] = self._failures.get(limit.name, 0) + 1
        first_at = self._first_at.setdefault(limit.name, now)
        if limit.attempts is not None and failures >= limit.attempts:
            return None
        delay = random.uniform(0, min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** (failures - 1)))
        if retry_after_s is not None:
            delay = retry_after_s + delay / 4  # a little apart, or all come back at the same instant
        return delay if now + delay - first_at <= limit.within_s else None

    def attempts(self, limit: RetryLimit) -> int:
        """How often this class of error was met."""
        return self._failures.get(limit.name, 0)


def retry_after_s(value: str | None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for (RFC 9110, section 10.2.3: a number or a date)."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
