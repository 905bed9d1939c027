"""What the check of token data does to an outcome: the rollout is masked, and keeps its reward."""

from dataclasses import dataclass

from nemo_gym.collections.outcomes import AttemptOutcome, Failed
from nemo_gym.collections.token_data.check import Violation, find_violation
from nemo_gym.wire.failure import MAX_REASON_CHARS, FailureKind

KIND: FailureKind = "token_data_invalid"


@dataclass(frozen=True)
class MaskedExample:
    """A rollout whose token data broke a rule. `agent_name`: the agent that ran it, where its row says so."""

    task_index: int
    rollout_index: int
    agent_name: str | None
    violation: Violation


class TokenDataMasking:
    """Masks rollouts whose token data a trainer can't rely on.

    Args:
        wanted: None: look at the token data that is there; True: a model call without any is wrong too; False: look
            at nothing.

    Attributes:
        example: The first one masked.
    """

    def __init__(self, wanted: bool | None) -> None:
        self._wanted = wanted
        self.example: MaskedExample | None = None

    def note(self, example: MaskedExample) -> None:
        """Take in one that another process has masked."""
        self.example = self.example or example

    def __call__(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Return the outcome, masked if need be; what is masked already keeps its reason."""
        if self._wanted is False or isinstance(outcome, Failed) or outcome.is_masked:
            return outcome
        violation = find_violation(outcome.line, required=self._wanted is True)
        if violation is None:
            return outcome
        if self.example is None:
            agent = outcome.row.get("agent_ref") or {}
            self.example = MaskedExample(*outcome.key, agent.get("name"), violation)
        reason = violation.reason[:MAX_REASON_CHARS]
        return outcome.with_fields(mask_sample=True, failure_kind=KIND, failure_reason=reason)
