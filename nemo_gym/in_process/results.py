"""The result of a rollout, typed, and many of them as a pandas DataFrame."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from nemo_gym.collections.outcomes import Failed, Outcome
from nemo_gym.wire.openai.responses import NeMoGymResponse, NeMoGymResponseUsage

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class RolloutResult:
    """One rollout of one task.

    Attributes:
        task: The row, as it was given.
        task_index: Place of the task among those given, from 0.
        rollout_index: Repeat, from 0.
        outcome: scored; masked: verified, but not to be trained on; failed: there is no valid reward.
        reward: None of a failed rollout. That of a masked one doesn't belong into a mean.
        failure_kind: Why it is masked or failed; None of a scored one.
        failure_reason: The same for a person.
        row: The line that a collection writes for it: a rollout row, or a failure record.
    """

    task: Mapping[str, Any] = field(repr=False)
    task_index: int
    rollout_index: int
    outcome: Literal["scored", "masked", "failed"]
    reward: float | None
    failure_kind: str | None = None
    failure_reason: str | None = None
    row: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, outcome: Outcome, task: Mapping[str, Any]) -> "RolloutResult":
        """Return the result that an outcome is."""
        if isinstance(outcome, Failed):
            record = outcome.record
            return cls(task, *outcome.key, "failed", None, record.failure_kind, record.failure_reason, record.as_row())
        row = outcome.row
        if not outcome.is_masked:
            return cls(task, *outcome.key, "scored", outcome.reward, row=row)
        kind, reason = row.get("failure_kind"), row.get("failure_reason")
        return cls(task, *outcome.key, "masked", outcome.reward, kind, reason, row)

    @cached_property
    def response(self) -> NeMoGymResponse | None:
        """The trajectory; None of a failed rollout."""
        found = self.row.get("response")
        return None if found is None else NeMoGymResponse.model_validate(found)

    @property
    def text(self) -> str:
        """The texts that the policy wrote; empty of a failed rollout."""
        return self.response.output_text if self.response is not None else ""

    @property
    def parts(self) -> Mapping[str, float]:
        """The named parts of the reward, where the verifier gives such."""
        parts: Mapping[str, float] = self.row.get("reward_parts") or {}
        return parts

    @property
    def usage(self) -> NeMoGymResponseUsage | None:
        """The tokens of all model calls, where the endpoint counts them."""
        return self.response.usage if self.response is not None else None


def to_dataframe(results: Iterable[RolloutResult]) -> "pandas.DataFrame":
    """Return a pandas DataFrame with one line for each result, in the order given.

    Columns: task_index, rollout_index, outcome, reward, failure_kind, failure_reason, text, num_tool_calls,
    input_tokens, output_tokens, and parts.<name> for each part of the reward.

    Raises:
        ImportError: pandas isn't installed.
    """
    import pandas

    return pandas.DataFrame([_line(result) for result in results], columns=None)


def _line(result: RolloutResult) -> dict[str, Any]:
    items = result.response.output if result.response is not None else []
    usage = result.usage
    return {
        "task_index": result.task_index,
        "rollout_index": result.rollout_index,
        "outcome": result.outcome,
        "reward": result.reward,
        "failure_kind": result.failure_kind,
        "failure_reason": result.failure_reason,
        "text": result.text,
        "num_tool_calls": sum(item.type == "function_call" for item in items),
        "input_tokens": usage.input_tokens if usage is not None else None,
        "output_tokens": usage.output_tokens if usage is not None else None,
        **{f"parts.{name}": value for name, value in result.parts.items()},
    }
