"""The overview of a collection: counts, rewards, where there is signal, what fails; figures as lists of numbers."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from pydantic import BaseModel

from nemo_gym.collections.metrics.metrics import PerTask, at_k, standard_error
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.identity import Identity, identity_of
from nemo_gym.viewer.collection.table import COUNTS, FAILED, MASKED, OUTCOMES, SCORED, STAGES, RolloutTable
from nemo_gym.viewer.pages.histogram import Histogram, histogram, series_means, thinned

_MAX_POINTS = 400
_REASON_CHARS = 300


class Problem(BaseModel):
    """Failed or masked rollouts of one kind and stage, with one of them as an example."""

    outcome: str
    kind: str
    stage: str
    count: int
    example: str
    reason: str


class TaskRates(BaseModel):
    """Tasks by the share of their scored rollouts that are solved; `rates` is sorted, thinned to 400 points."""

    tasks: int
    all_solved: int
    mixed: int
    none_solved: int
    rates: list[float]


class Overview(BaseModel):
    """What the page shows. Shares are in [0, 1]; `rate`: rollouts a second; `eta_s`: seconds."""

    identity: Identity
    version: int
    progress: float
    counts: dict[str, int]
    not_settled: int | None
    rate: float | None
    eta_s: float | None
    mean_reward: float | None
    standard_error: float | None
    truncated_share: float | None
    rewards: Histogram | None
    pass_at_k: dict[str, float]
    tasks: TaskRates
    over_time: list[float]
    per_rollout: dict[str, Histogram]
    numbers: dict[str, Histogram]
    problems: list[Problem]
    damaged: list[str]
    num_damaged: int


def overview_of(follower: Follower) -> Overview:
    """Return the overview of what has been read so far."""
    table, identity = follower.table, identity_of(follower)
    current = list(table.current())
    scored = [number for number in current if table.outcomes[number] == SCORED]
    rewards = [table.rewards[number] for number in scored]
    counts = Counter(OUTCOMES[table.outcomes[number]] for number in current)
    left = None if identity.expected is None else max(0, identity.expected - len(current))
    rate = follower.rate
    per_task = per_task_of(table, scored, follower.pass_threshold)
    truncated = sum(table.truncated[number] for number in scored)
    return Overview(
        identity=identity,
        version=follower.version,
        progress=follower.progress,
        counts={outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome] or outcome != "no_reward"},
        not_settled=left,
        rate=rate,
        eta_s=left / rate if left and rate else None,
        mean_reward=math.fsum(rewards) / len(rewards) if rewards else None,
        standard_error=standard_error(per_task),
        truncated_share=truncated / len(scored) if scored else None,
        rewards=histogram(rewards),
        pass_at_k=_pass_at_k(per_task),
        tasks=_task_rates(per_task),
        over_time=series_means(rewards),
        per_rollout=_histograms({**{name: table.counts[name] for name in COUNTS}, "seconds": table.seconds}, scored),
        numbers=_histograms(table.numbers, scored),
        problems=_problems(follower, table, current),
        damaged=table.damaged,
        num_damaged=table.num_damaged,
    )


def per_task_of(table: RolloutTable, scored: Sequence[int], pass_threshold: float) -> PerTask:
    """Return the scored rollouts of each task."""
    n: Counter[int] = Counter()
    solved: Counter[int] = Counter()
    total: dict[int, float] = {}
    for number in scored:
        task, reward = table.task(number), table.rewards[number]
        n[task] += 1
        solved[task] += reward >= pass_threshold
        total[task] = total.get(task, 0.0) + reward
    tasks = sorted(n)
    return PerTask.model_construct(
        task_index=tasks,
        n=[n[task] for task in tasks],
        mean_reward=[total[task] / n[task] for task in tasks],
        solved=[solved[task] for task in tasks],
    )


def reason_of(follower: Follower, number: int) -> str:
    """Return why a rollout failed or is masked, shortened; "" where its line says nothing."""
    try:
        line = follower.line(follower.table[number])
        reason = _REASONS.decode(line.text).failure_reason
    except (OSError, msgspec.DecodeError, RecursionError):
        return ""
    return reason[:_REASON_CHARS] if isinstance(reason, str) else ""


class _Reason(msgspec.Struct):
    failure_reason: Any = None


_REASONS = msgspec.json.Decoder(_Reason)


def _pass_at_k(per_task: PerTask) -> dict[str, float]:
    found: dict[str, float] = at_k(per_task).get("pass_at_k", {})
    return found


def _task_rates(per_task: PerTask) -> TaskRates:
    rates = sorted((s / n for s, n in zip(per_task.solved, per_task.n, strict=True)), reverse=True)
    all_solved, none_solved = sum(rate == 1.0 for rate in rates), sum(rate == 0.0 for rate in rates)
    return TaskRates(
        tasks=len(rates),
        all_solved=all_solved,
        mixed=len(rates) - all_solved - none_solved,
        none_solved=none_solved,
        rates=thinned(rates, _MAX_POINTS),
    )


def _histograms(columns: Any, scored: Sequence[int]) -> dict[str, Histogram]:
    found = {}
    for name, column in columns.items():
        # A column may be a row shorter while the row is being added.
        known = histogram(map(column.__getitem__, scored[: bisect_left(scored, len(column))]))
        if known is not None and (known.max or known.min or name in ("steps", "tool_calls")):
            found[name] = known
    return found


def _problems(follower: Follower, table: RolloutTable, current: Sequence[int]) -> list[Problem]:
    counts: Counter[tuple[int, int, int]] = Counter()
    first: dict[tuple[int, int, int], int] = {}
    for number in current:
        if table.outcomes[number] in (MASKED, FAILED):
            place = (table.outcomes[number], table.kinds[number], table.stages[number])
            counts[place] += 1
            first.setdefault(place, number)
    return [
        Problem(
            outcome=OUTCOMES[outcome],
            kind=table.kind_names[kind],
            stage=STAGES[stage],
            count=count,
            example=table[first[outcome, kind, stage]].key,
            reason=reason_of(follower, first[outcome, kind, stage]),
        )
        for (outcome, kind, stage), count in counts.most_common(50)
    ]
