"""When failures say that a collection can't go on: the next rollout would fail just the same."""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field

from nemo_gym.collections.outcomes import Failed, Outcome
from nemo_gym.collections.records import FailureRecord

_SURE_KINDS = frozenset({"model_auth", "model_quota_exhausted"})
_UNKNOWN_ROUTE_OR_MODEL = frozenset({404, 405})
_ANOTHER_MODEL_KINDS = frozenset({"judge_failed", "user_failed"})
# What such a model says to every request alike, where another attempt makes no sense: key, quota, model, route.
_REFUSED_BY_ANOTHER_MODEL = frozenset({401, 403, 404, 405, 429})
_LIKELY_KINDS = frozenset(
    {
        "turn_error",
        "verifier_error",
        "judge_unparseable",
        "model_bad_request",
        "model_bad_output",
        "agent_error",
        "token_data_invalid",
        "input_invalid",
    }
)
SURE_AFTER = 5
LIKELY_AT_START_AFTER = 10
LIKELY_LATER_AFTER = 100


@dataclass
class StopRule:
    """Watches outcomes for the same failure from the same server, again and again, with no success in between.

    A failure that has nothing to do with the row (a wrong key, no quota left, an unknown model or route, of the policy,
    a judge, or a simulated user) ends the collection after `SURE_AFTER` rollouts in a row. One that a row may be the
    reason for (a verifier that raises, a request that is refused) has to come from different tasks:
    `LIKELY_AT_START_AFTER` before anything has succeeded, or `LIKELY_LATER_AFTER` in a row after that. Failures that
    time may heal never end it, nor do rows that could not be sent at all.

    Attributes:
        strict: True: the first failure ends it. False: no failure does. None: as said above.
    """

    strict: bool | None = None
    _has_succeeded: bool = False
    _streaks: defaultdict[Hashable, "_Streak"] = field(default_factory=lambda: defaultdict(_Streak))

    def add(self, outcome: Outcome) -> str | None:
        """Take in an outcome; return why the collection should stop, in words, or None."""
        if not isinstance(outcome, Failed):
            self._has_succeeded = True
            self._streaks.clear()
            return None
        record = outcome.record
        if self.strict:
            return f"a rollout failed ({record.failure_kind}), and strict is set"
        return None if self.strict is False or record.stage == "admission" else self._judge(record)

    def _judge(self, record: FailureRecord) -> str | None:
        is_sure = _has_nothing_to_do_with_the_row(record)
        if not is_sure and not _may_have_to_do_with_the_row(record):
            return None
        origin = record.origin.server if record.origin is not None else None
        streak = self._streaks[record.failure_kind, origin, is_sure]
        streak.rollouts += 1
        streak.tasks.add(record.task_index)
        likely_after = LIKELY_LATER_AFTER if self._has_succeeded else LIKELY_AT_START_AFTER
        if streak.rollouts < SURE_AFTER if is_sure else len(streak.tasks) < likely_after:
            return None
        at = f" at {origin}" if origin else ""
        since = " in between" if self._has_succeeded else ""
        return (
            f"{streak.rollouts} rollouts failed with {record.failure_kind}{at} and none succeeded{since}, "
            "so the rest would fail too (strict=false goes on regardless)"
        )


@dataclass
class _Streak:
    rollouts: int = 0
    tasks: set[int] = field(default_factory=set)


def _may_have_to_do_with_the_row(record: FailureRecord) -> bool:
    return record.failure_kind in _LIKELY_KINDS or (record.failure_kind in _ANOTHER_MODEL_KINDS and record.terminal)


def _has_nothing_to_do_with_the_row(record: FailureRecord) -> bool:
    status = record.origin.status if record.origin is not None else None
    unknown = record.failure_kind in ("model_bad_request", "input_invalid") and status in _UNKNOWN_ROUTE_OR_MODEL
    refused = record.failure_kind in _ANOTHER_MODEL_KINDS and record.terminal and status in _REFUSED_BY_ANOTHER_MODEL
    return record.failure_kind in _SURE_KINDS or unknown or refused
