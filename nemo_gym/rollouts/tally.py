"""The numbers of a collection so far: the counts and metrics that are written, and what the progress display shows."""

from nemo_gym.collections.counts import Counts
from nemo_gym.collections.metrics.measures import MeasuredRollout
from nemo_gym.collections.metrics.metrics import Metrics
from nemo_gym.collections.outcomes import Failed, Outcome
from nemo_gym.collections.reading.reader import StoredRollout
from nemo_gym.collections.reading.repeated_rows import RepeatedRows
from nemo_gym.rollouts.collector import Collector
from nemo_gym.rollouts.progress import ProgressState
from nemo_gym.rollouts.slots import AdaptiveSlots


class Tally:
    """Adds up the outcomes of this run and of earlier ones: counts by row of the task file, metrics by task.

    Args:
        pass_threshold: A rollout solves its task at this reward or more.

    Attributes:
        resumed: Rollouts that an earlier run settled.
        rows: Which rows are one task; may be set until the first rollout.
    """

    def __init__(self, pass_threshold: float) -> None:
        self.counts = Counts(expected=0)
        self.metrics = Metrics(pass_threshold)
        self.resumed = 0
        self.rows = RepeatedRows(None)

    def add(self, outcome: Outcome) -> None:
        """Take in one outcome of this run."""
        self.counts.add(outcome)
        if isinstance(outcome, Failed) or outcome.is_masked:
            return
        task = self.rows.first(outcome.key[0])
        if isinstance(outcome, MeasuredRollout):
            self.metrics.add_measured(task, outcome.reward, outcome.measures)
        else:
            self.metrics.add(task, outcome.reward, outcome.line)

    def add_earlier(self, rollout: StoredRollout) -> None:
        """Take in one rollout from the file."""
        is_masked = rollout.outcome == "masked"
        self.counts.add_verified(is_masked=is_masked, kind=rollout.failure_kind)
        if not is_masked:
            task = self.rows.first(rollout.task_index or 0)
            self.metrics.add(task, rollout.reward or 0.0, rollout.line.text)

    def progress(self, collector: Collector) -> ProgressState:
        """Return what there is to show while `collector` runs."""
        counts = self.counts
        return ProgressState(
            done=counts.scored + counts.masked,
            failed=counts.failed,
            in_flight=collector.in_flight,
            expected=counts.expected,
            mean_reward=self.metrics.mean_reward,
            at_start=self.resumed,
            limit=collector.slots.limit if isinstance(collector.slots, AdaptiveSlots) else None,
            failed_by_kind=counts.failed_by_kind,
            retries=collector.runner.retries,
            latency_p50_s=collector.latency_p50_s,
        )
