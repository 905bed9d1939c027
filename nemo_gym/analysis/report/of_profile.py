"""The report of a profile: how the tasks are spread, and those that say most."""

import heapq
import math
from typing import NamedTuple

from nemo_gym.analysis.report.report import Bars, Report, Table, number
from nemo_gym.analysis.task_profile import ProfileSettings, TaskProfile

_BINS = 10
_COLUMNS = ("task", "n", "pass rate", "interval", "mean reward", "variance", "steps", "tokens in", "tokens out", "cost")


class _Shown(NamedTuple):
    """A task in the order of the table: most variance first, then by index."""

    variance: float
    negated_index: int
    profile: TaskProfile


class ProfileReport:
    """Takes in one profile after another, and keeps what the report shows.

    Args:
        title: Of the report.
        settings: How the tasks were measured.
        most_tasks: Rows of the table at most.
    """

    def __init__(self, title: str, settings: ProfileSettings, most_tasks: int) -> None:
        self._title = title
        self._settings = settings
        self._most_tasks = most_tasks
        self._shown: list[_Shown] = []
        self._bins = [0] * _BINS
        self.tasks = self.scored_tasks = self.rollouts = self.masked = self.failed = 0
        self.none_solved = self.all_solved = 0
        self._pass_rates = 0.0
        self._rewards = 0.0
        self._cost = 0.0

    def add(self, profile: TaskProfile) -> None:
        """Take in the profile of a task."""
        self.tasks += 1
        self.rollouts += profile.n
        self.masked += profile.masked
        self.failed += profile.failed
        if profile.pass_rate is None or profile.mean_reward is None:
            return
        self.scored_tasks += 1
        self.none_solved += profile.solved == 0
        self.all_solved += profile.solved == profile.n
        self._pass_rates += profile.pass_rate
        self._rewards += profile.mean_reward
        self._cost += (profile.cost or 0.0) * profile.n
        self._bins[min(_BINS - 1, math.floor(profile.pass_rate * _BINS))] += 1
        shown = _Shown(profile.reward_variance or 0.0, -profile.task_index, profile)
        if len(self._shown) < self._most_tasks:
            heapq.heappush(self._shown, shown)
        elif self._shown:
            heapq.heappushpop(self._shown, shown)

    def report(self) -> Report:
        """Return the report."""
        rows = [_row(shown.profile) for shown in sorted(self._shown, reverse=True)]
        left = self.scored_tasks - len(rows)
        heading = "Tasks, most variance first" + (f" ({left:,} more aren't shown)" if left else "")
        share = f"{self._settings.confidence:.0%}"
        return Report(
            title=self._title,
            facts=self._facts(),
            notes=[
                f"A rollout solves its task at a reward of {self._settings.pass_threshold:g} or more. Intervals of "
                f"pass rates are Wilson's, {share}. Masked and failed rollouts enter nothing but their counts."
            ],
            bars=[Bars("Tasks by pass rate", self._bars())],
            tables=[Table(heading, _COLUMNS, rows)],
        )

    def _facts(self) -> list[tuple[str, str]]:
        n = self.scored_tasks
        some = n - self.none_solved - self.all_solved
        facts = [
            ("tasks", f"{self.tasks:,}"),
            ("scored rollouts", f"{self.rollouts:,}"),
            ("masked / failed", f"{self.masked:,} / {self.failed:,}"),
            ("mean pass rate", number(self._pass_rates / n if n else None)),
            ("mean reward", number(self._rewards / n if n else None)),
            ("tasks all / some / none solved", f"{self.all_solved:,} / {some:,} / {self.none_solved:,}"),
        ]
        return [*facts, ("cost", number(self._cost))] if self._cost else facts

    def _bars(self) -> list[tuple[str, int]]:
        ends = [f"{at / _BINS:.1f} to {(at + 1) / _BINS:.1f}" for at in range(_BINS)]
        return list(zip(ends, self._bins, strict=True))


def _row(profile: TaskProfile) -> list[str]:
    interval = f"{number(profile.pass_rate_low)} to {number(profile.pass_rate_high)}"
    return [
        str(profile.task_index),
        str(profile.n),
        number(profile.pass_rate),
        interval,
        *map(number, (profile.mean_reward, profile.reward_variance, profile.steps)),
        *map(number, (profile.input_tokens, profile.output_tokens, profile.cost)),
    ]
